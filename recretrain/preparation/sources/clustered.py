"""One file of reviews as two domains: clusters of its items by what is written about them, a substitute for a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.reviews import ReviewedDomains, TwoReviewedDomains, read_reviews
from recretrain.preparation.sql import Connection
from recretrain.values import AtLeast0, AtLeast1


@dataclass(frozen=True, kw_only=True)
class Clusters(ReviewedDomains):
    """Two clusters of items; the one with more reviews is the source domain."""

    components: AtLeast1  # of the texts about an item, by which items are near each other
    seed: AtLeast0


@dataclass(frozen=True, kw_only=True)
class AmazonClustered(TwoReviewedDomains):
    """Reviews of one domain, cut in two by clusters of items; raw data of two domains are better."""

    domains: Clusters

    layout: ClassVar[str] = "a file of reviews, .json or .json.gz,"

    def files_in(self, place: Path) -> list[Path]:
        return [place] if place.is_file() else []

    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        read_reviews(connection, {"": files[0]})
        about = connection.sql(
            "SELECT item, string_agg(text, ' ' ORDER BY rowid), count(*) FROM reviews WHERE item IS NOT NULL "
            "GROUP BY item ORDER BY item"
        ).fetchall()
        if len(about) < 2:
            raise DataError(f"{files[0]}: it has reviews of {len(about)} items, too few for two clusters")
        item, text, count = zip(*about, strict=True)
        cluster = clusters([one or "" for one in text], self.domains.components, self.domains.seed)
        larger = np.bincount(cluster, weights=count, minlength=2).argmax()
        space = np.where(cluster == larger, *self.domains.names)
        connection.from_arrow(pa.table({"item": item, "space": space})).create("clustered")
        connection.execute(
            """CREATE OR REPLACE TABLE reviews AS
               SELECT * EXCLUDE line FROM (
                   SELECT reviews.* REPLACE (coalesce(clustered.space, '?') AS space), reviews.rowid AS line
                   FROM reviews LEFT JOIN clustered USING (item)
               )
               ORDER BY line"""
        )

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        lines.check_json(files)
        return super().explain(files, error)


def clusters(texts: Sequence[str], components: int, seed: int) -> npt.NDArray[Any]:
    """The cluster, 0 or 1, of each text: k-means of the leading components of TF-IDF.  # [n]"""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    weights = TfidfVectorizer(max_df=0.5, min_df=1, stop_words="english", sublinear_tf=True).fit_transform(texts)
    leading = TruncatedSVD(min(components, weights.shape[1]), random_state=seed).fit_transform(weights)
    found: npt.NDArray[Any] = KMeans(2, n_init=10, random_state=seed).fit_predict(normalize(leading))
    return found
