"""The sentences above a table or a plot: whose figures they are, and of which questions."""

from __future__ import annotations

import pandas as pd

from recretrain.report.runs.averages import count_questions
from recretrain.report.runs.cohorts import Cohort

TESTS = {"test": "tested periods", "choosing": "choosing periods (for hyper-parameters, not a result)"}
GROUPS = {"all": "", "new_user": "questions of new users, ", "new_item": "questions about new items, "}


def title(cohort: Cohort, rows: pd.DataFrame, test: str, group: str) -> str:
    """`yelp: tested periods 33-39, 1 + 999 candidates, 70 questions`."""
    card = cohort.asked.card
    count = f"{count_questions(rows):,} {card['unit']}"
    return f"{named(cohort)}: {TESTS[test]} {span(rows)}, {card['text']}, {GROUPS.get(group, f'{group}: ')}{count}"


def named(cohort: Cohort) -> str:
    data = cohort.asked.data
    return f"{data} (synthetic data)" if cohort.asked.synthetic else data


def corner(cohort: Cohort) -> str:
    """The word above the names of the rows."""
    return "method (synthetic data)" if cohort.asked.synthetic else "method"


def span(rows: pd.DataFrame) -> str:
    """`33-39`, or the periods one by one where some are missing between."""
    periods = sorted({int(period) for period in rows["period"]})
    if len(periods) > 1 and periods == list(range(periods[0], periods[-1] + 1)):
        return f"{periods[0]}-{periods[-1]}"
    return ", ".join(map(str, periods))
