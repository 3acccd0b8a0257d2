"""What is recommended is what the method scores highest, by hand, from the files of the run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import recretrain
from recretrain.data.interactions import PAD, Ragged
from recretrain.data.kinds import Histories, Questions, Support
from recretrain.data.questions import GivesHistories
from recretrain.data.stream import Stream
from recretrain.engine.finished import finished
from recretrain.errors import ConfigError, DataError, Mistake
from recretrain.serving import opened, ranking
from recretrain.serving.asking import tomorrow
from recretrain.serving.ranking import barred, best
from recretrain.serving.run import Run
from recretrain.serving.wishes import Wish

LEARNED = 5  # the last of 7 periods is tested, not learned


class Files:
    """A run's numbers and raw ids, straight from its folders."""

    def __init__(self, run: Run) -> None:
        self.asked, self.method, _ = finished(run.folder)
        self.folder = self.asked.stream.folder
        self.users, self.items = (pd.read_parquet(self.folder / f"{kind}s.parquet") for kind in ("user", "item"))

    def rows(self, periods: range) -> pd.DataFrame:
        return pd.concat([pd.read_parquet(self.folder / f"period_{index:03d}.parquet") for index in periods])

    def known(self) -> np.ndarray:
        return self.items.loc[self.items["first_period"] <= LEARNED, "id"].to_numpy(copy=True)

    def order(self, user: int, items: np.ndarray) -> list[Any]:
        """Raw ids of the items, the best first."""
        state = self.method.backbone.state_dict()
        scores = (state["item"][items] @ state["user"][user]).numpy()
        return self.items["key"].to_numpy()[items[np.lexsort([items, -scores])]].tolist()


@pytest.fixture(scope="module")
def files(ranked: Run) -> Files:
    return Files(ranked)


def of(frame: pd.DataFrame, user: Any) -> list[Any]:
    rows = frame[frame["user"] == user]
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    return rows["item"].tolist()


def test_the_best_items_are_those_of_the_highest_scores(ranked: Run, files: Files) -> None:
    users = files.users["key"][[3, 0, 11]].tolist()

    found = ranked.recommend(users, k=7)

    assert found.columns.tolist() == ["user", "rank", "item", "score"]
    assert found["user"].drop_duplicates().tolist() == users
    assert [of(found, key) for key in users] == [files.order(number, files.known())[:7] for number in (3, 0, 11)]
    row, column = files.users.index[files.users["key"] == users[0]][0], files.items["key"].tolist()
    state = files.method.backbone.state_dict()
    expected = state["user"][row] @ state["item"][column.index(found["item"][0])]
    assert found["score"][0] == pytest.approx(float(expected), rel=1e-5)


def test_items_that_a_user_had_in_learned_periods_can_be_left_out(ranked: Run, files: Files) -> None:
    users = files.users["key"][[3, 0]].tolist()
    past = files.rows(range(LEARNED + 1))

    found = ranked.recommend(users, k=60, exclude_seen=True)

    for number, key in zip((3, 0), users, strict=True):
        had = past.loc[past["user"] == number, "item"].unique()
        assert len(had) > 5
        assert of(found, key) == files.order(number, np.setdiff1d(files.known(), had))


def test_only_candidates_are_recommended_where_some_are_given(ranked: Run, files: Files) -> None:
    numbers = files.known()[[20, 4, 9]]
    candidates = files.items["key"].to_numpy()[numbers].tolist()

    found = ranked.recommend([files.users["key"][2]], k=20, candidates=[*candidates, candidates[0]])

    assert found["item"].tolist() == files.order(2, np.sort(numbers))


def test_candidates_that_a_user_had_are_left_out_in_whatever_order_they_come(ranked: Run, files: Files) -> None:
    past = files.rows(range(LEARNED + 1))
    had = past.loc[past["user"] == 2, "item"].unique()
    numbers = np.array([4, 6, 5, 7, *np.setdiff1d(had, range(8))[:1]])  # neighbours, but not in order
    assert set(had) - set(numbers)

    found = ranked.recommend([files.users["key"][2]], candidates=files.items["key"][numbers], exclude_seen=True)

    assert found["item"].tolist() == files.order(2, np.setdiff1d(numbers, had))


def test_what_a_user_had_bars_nothing_but_itself() -> None:
    had = Ragged(torch.tensor([0, 3, 3, 4]), torch.tensor([2, 8, 99, 5]))

    found = barred(had, torch.tensor([1, 5, 8]))

    assert found.tolist() == [[False, False, True], [False, False, False], [False, True, False]]


def test_all_users_are_those_met_by_the_last_learned_period(ranked: Run, files: Files) -> None:
    found = ranked.recommend("all", k=1)

    met = files.users.loc[files.users["first_period"] <= LEARNED, "key"]
    assert found["user"].tolist() == met.tolist()
    assert len(met) == len(files.users) - 1


def test_a_repeated_user_is_answered_once_and_series_will_do(ranked: Run, files: Files) -> None:
    keys = files.users["key"][[1, 2, 1]]

    assert ranked.recommend(keys, k=1)["user"].tolist() == keys.drop_duplicates().tolist()


def test_scores_are_never_held_for_all_users_at_once(ranked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ranked.recommend("all", k=4)
    sizes: list[int] = []
    score = opened.Opened.scores

    def scores(self: Any, *asked: Any) -> torch.Tensor:
        found = score(self, *asked)
        sizes.append(found.numel())
        return found

    monkeypatch.setattr(opened.Opened, "scores", scores)
    monkeypatch.setattr(ranking, "_SCORES", 200)

    pd.testing.assert_frame_equal(ranked.recommend("all", k=4), whole, rtol=1e-5)
    assert len(sizes) >= 10
    assert max(sizes) <= 200


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"users": ["zz", "yy"]}, "knows no user 'zz' (2 of the 2 users asked for are unknown)"),
        ({"users": "all", "candidates": ["zz"]}, "knows no item 'zz' (1 of the 1 items asked for are unknown)"),
        ({"users": []}, "no user is asked for"),
        ({"users": "all", "candidates": []}, "no item is asked for"),
        ({"users": "u1"}, "users='u1' is one text; give a list of raw ids, such as users=['u1']"),
        ({"users": "all", "k": 0}, "k=0 must be at least 1"),
        ({}, "nothing does: give one"),
        ({"users": "all", "history": pd.DataFrame()}, "users and history both do: give one"),
        ({"history": pd.DataFrame({"session": ["a"], "item": ["b"]})}, "FineTune of|looks at no history"),
        ({"support": pd.DataFrame({"user": ["a"]})}, "takes no support; name users instead"),
    ],
)
def test_a_mistake_is_named_with_its_cure(ranked: Run, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(Mistake) as error:
        ranked.recommend(**asked)

    assert any(part in str(error.value) for part in message.split("|"))


def test_a_user_of_a_period_that_is_not_learned_is_unknown(ranked: Run, files: Files) -> None:
    late = files.users.loc[files.users["first_period"] > LEARNED, "key"].tolist()

    with pytest.raises(DataError, match="1 of the 2 users asked for are unknown"):
        ranked.recommend([files.users["key"][0], *late])


def test_an_item_of_a_period_that_is_not_learned_is_unknown(ranked: Run, files: Files) -> None:
    late = files.items.loc[files.items["first_period"] > LEARNED, "key"].tolist()

    assert set(late).isdisjoint(ranked.recommend("all", k=100)["item"])
    with pytest.raises(DataError, match=f"{len(late)} of the {len(late) + 1} items asked for are unknown"):
        ranked.recommend("all", candidates=[*late, files.items["key"][0]])


def test_unknown_ids_can_be_left_out(ranked: Run, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    known = files.users["key"][0]

    with caplog.at_level(logging.WARNING, logger="recretrain"):
        found = ranked.recommend(["zz", known], k=2, candidates=["??", files.items["key"][1]], skip_unknown=True)

    assert found[["user", "item"]].to_numpy().tolist() == [[known, files.items["key"][1]]]
    assert "left out 1 of the 2 users asked for, which the run does not know; the first is 'zz'" in caplog.text
    with pytest.raises(DataError, match="1 of the 1 users"):
        ranked.recommend(["zz"], skip_unknown=True)


def test_of_equal_scores_the_item_that_came_first_is_first() -> None:
    scores = torch.tensor([[1.0, 2.0, 2.0, 2.0, 0.0], [5.0, 5.0, 5.0, 5.0, 5.0]])

    found = best(scores, 2)

    assert found.row.tolist() == [0, 0, 1, 1]
    assert found.column.tolist() == [1, 2, 0, 1]
    assert found.rank.tolist() == [1, 2, 1, 2]


def test_a_row_has_fewer_where_less_is_left() -> None:
    scores = torch.tensor([[1.0, -torch.inf, 3.0], [1.0, 2.0, 3.0]])
    barred = torch.tensor([[True, False, False], [True, True, True]])

    found = best(scores, 3, barred)

    assert found.row.tolist() == [0, 0]
    assert found.column.tolist() == [2, 1]
    assert found.rank.tolist() == [1, 2]


def test_users_have_the_history_that_questions_about_the_next_period_give(remembering: Run) -> None:
    run = remembering._opened
    expected = run.stream.questions(LEARNED + 1)
    rows = torch.nonzero(run.met[expected.user]).squeeze(1)
    asked = expected.at(rows)

    found = tomorrow(run, Wish(users=run.users.raw(asked.user), exclude_seen=True))

    first = [asked.user.tolist().index(user) for user in found.test.user.tolist()]
    assert len(first) > 10
    assert run.method.backbone.longest >= 6 >= asked.history.shape[1] > 1
    assert torch.equal(found.test.history, asked.history[first])


def test_a_run_that_remembers_answers_by_the_history(remembering: Run) -> None:
    files = Files(remembering)
    past = files.rows(range(LEARNED + 1))
    history = torch.tensor([past.loc[past["user"] == 4, "item"].tolist()[-6:]])
    known = torch.from_numpy(files.known())

    found = remembering.recommend([files.users["key"][4]], k=9)

    scores = files.method.score(Questions(user=torch.tensor([4]), catalogue=known, history=history))[0]
    order = known[torch.argsort(scores, descending=True, stable=True)][:9]
    assert found["item"].tolist() == files.items["key"][order.tolist()].tolist()


def test_sessions_that_are_not_in_the_data_are_answered_by_their_history(sessions: Run) -> None:
    files = Files(sessions)
    known = sessions._opened.catalogue
    numbers = known[[5, 2, 9]].tolist()
    keys = files.items["key"][numbers].tolist()
    history = pd.DataFrame({"session": ["new b", "new a", "new b"], "item": keys})

    found = sessions.recommend(history=history, k=5)
    unseen = sessions.recommend(history=history, k=len(known), exclude_seen=True)

    assert found["user"].drop_duplicates().tolist() == ["new b", "new a"]
    for name, items in (("new b", [5, 9]), ("new a", [2])):
        asked = Questions(user=torch.tensor([0]), catalogue=known, history=known[items].unsqueeze(0))
        order = known[torch.argsort(files.method.score(asked)[0], descending=True, stable=True)]
        assert of(found, name) == files.items["key"][order[:5].tolist()].tolist()
        assert {*files.items["key"][known[items].tolist()]}.isdisjoint(of(unseen, name))
        assert len(of(unseen, name)) == len(known) - len(items)


def test_a_history_may_call_its_sessions_users(sessions: Run) -> None:
    key = Files(sessions).items["key"][int(sessions._opened.catalogue[3])]
    rows = {"item": [key]}

    found = [sessions.recommend(history=pd.DataFrame({name: [8]} | rows), k=3) for name in ("session", "user")]

    pd.testing.assert_frame_equal(*found)
    assert found[0]["user"].tolist() == [8, 8, 8]


def test_a_history_is_of_the_source_where_labels_of_a_task_are_asked(profiles: Run) -> None:
    files = Files(profiles)
    run = profiles._opened
    source = run.stream.vocabulary.items_of(0)
    keys = files.items["key"][source[[4, 9]].tolist()]
    known = run.known(torch.nonzero(run.met).squeeze(1)[:1])

    found = profiles.recommend(history=pd.DataFrame({"session": ["new", "new"], "item": keys}), k=100)

    asked = Questions(user=torch.tensor([0]), catalogue=run.catalogue, history=source[[4, 9]].unsqueeze(0))
    order = run.catalogue[torch.argsort(files.method.score(asked)[0], descending=True, stable=True)]
    assert found["item"].tolist() == files.items["key"][order.tolist()].tolist()
    space = run.stream.vocabulary.item_space
    assert {0, run.stream.space(run.period)} <= set(space[known.item].tolist())
    assert isinstance(run.asks, GivesHistories)
    given = run.asks.histories(run.stream, run.period, known, known.user[:1])
    assert set(space[given[given != PAD].long()].tolist()) == {0}, "no label of a task is part of it"


def test_a_maker_that_gives_no_histories_is_named(sessions: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own:
        kind = Histories

    monkeypatch.setattr(sessions._opened, "asks", Own())

    with pytest.raises(ConfigError, match=r"Own does not say how a history .*data.questions.GivesHistories"):
        sessions.recommend("all")


def test_sessions_without_a_known_item_are_left_out_if_unknown_ids_are(sessions: Run) -> None:
    key = Files(sessions).items["key"][int(sessions._opened.catalogue[3])]
    history = pd.DataFrame({"session": ["a", "b", "a"], "item": [key, "??", "?"]})

    with pytest.raises(DataError, match="knows no item '\\?\\?'"):
        sessions.recommend(history=history)
    assert sessions.recommend(history=history, k=1, skip_unknown=True)["user"].tolist() == ["a"]


def test_a_backbone_that_looks_at_users_refuses_sessions_it_does_not_know(
    remembering: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caser's scores depend on the user's row; a stranger has none."""
    files = Files(remembering)
    method = remembering._opened.method
    score = type(method).score
    own = lambda self, asked: score(self, asked) * asked.user.unsqueeze(1)  # noqa: E731
    history = pd.DataFrame({"session": ["new", files.users["key"][3]], "item": files.items["key"][[1, 2]]})
    remembering.recommend(history=history)

    monkeypatch.setattr(type(method), "score", own)

    with pytest.raises(DataError, match="knows no user 'new'"):
        remembering.recommend(history=history)
    known = remembering.recommend(history=history.iloc[1:], k=2)
    asked = Questions(user=torch.tensor([3]), catalogue=remembering._opened.catalogue, history=torch.tensor([[2]]))
    assert known["score"].tolist() == sorted(own(method, asked)[0].tolist(), reverse=True)[:2]


def test_melu_adapts_to_the_support_and_ranks_by_rating(films: Run) -> None:
    files = Files(films)
    run = films._opened
    known = run.catalogue
    stranger = int(torch.nonzero(~run.met)[0])
    rated = known[[0, 7, 3]]
    support = pd.DataFrame(
        {
            "user": files.users["key"][stranger],
            "item": files.items["key"][rated.tolist()],
            "rating": ["5", "1", "4"],
        }
    )

    found = films.recommend(support=support, k=6, exclude_seen=True)
    other = films.recommend(support=support.assign(rating=["1", "5", "1"]), k=6, exclude_seen=True)

    left = known[~torch.isin(known, rated)]
    given = Support(rated.unsqueeze(0), torch.tensor([[5.0, 1.0, 4.0]]))
    asked = Questions(user=torch.tensor([stranger]), candidates=left.unsqueeze(0), support=given)
    rating = files.method.score(asked)[0]
    order = torch.argsort(rating, descending=True, stable=True)[:6]
    assert found["item"].tolist() == files.items["key"][left[order].tolist()].tolist()
    np.testing.assert_allclose(found["score"], rating[order], rtol=1e-4)
    assert abs(found["score"] - other["score"]).max() > 0.01


def test_melu_takes_the_ratings_of_learned_users_as_their_support(films: Run) -> None:
    files = Files(films)
    rows = films._opened.task.period.train
    user = int(rows.user[0])
    own = rows.rows(rows.user == user)
    support = pd.DataFrame(
        {
            "user": files.users["key"][user],
            "item": files.items["key"][own.item.tolist()].tolist(),
            "rating": own.other["rating"].tolist(),
        }
    )

    found = films.recommend([files.users["key"][user]], k=5)

    pd.testing.assert_frame_equal(found, films.recommend(support=support, k=5), rtol=1e-4)


def test_ratings_are_predicted_some_items_at_a_time(films: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    users = Files(films).users["key"][:3]
    whole = films.recommend(users, k=5)

    monkeypatch.setattr(opened, "PAIRS", 32)
    monkeypatch.setattr(ranking, "PAIRS", 32)

    pd.testing.assert_frame_equal(films.recommend(users, k=5), whole, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": ["good"]}, "has a rating 'good', which is no number"),
        ({"user": ["nobody"]}, "knows no user 'nobody'"),
        ({"item": ["nothing"]}, "knows no item 'nothing'"),
    ],
)
def test_a_wrong_support_is_named(films: Run, change: dict[str, list[str]], message: str) -> None:
    files = Files(films)
    support = pd.DataFrame({"user": [files.users["key"][0]], "item": [files.items["key"][0]], "rating": [3]})

    with pytest.raises(DataError) as error:
        films.recommend(support=support.assign(**change))

    assert message in str(error.value)


def test_columns_that_lack_are_named(films: Run, sessions: Run) -> None:
    rated = pd.DataFrame({"user": ["1"], "item": ["2"]})

    with pytest.raises(DataError, match="the support has no column 'rating', but user, item; it needs user, item, rat"):
        films.recommend(support=rated)
    with pytest.raises(DataError, match="the history has no column 'session', but item; it needs session, item"):
        sessions.recommend(history=rated[["item"]])
    with pytest.raises(DataError, match="the history has no rows"):
        sessions.recommend(history=rated.iloc[:0])


def test_cold_users_are_offered_the_items_of_the_target_by_rating(reviews: Run) -> None:
    files = Files(reviews)
    stream: Stream = files.asked.stream
    target = stream.vocabulary.items_of(1)
    cold = int(stream.interactions(0, "test").user[0])

    found = reviews.recommend([files.users["key"][cold]], k=len(target))

    asked = Questions(user=torch.tensor([cold]), candidates=target.unsqueeze(0))
    rating = files.method.score(asked)[0]
    order = torch.argsort(rating, descending=True, stable=True)
    assert found["item"].tolist() == files.items["key"][target[order].tolist()].tolist()
    np.testing.assert_allclose(found["score"], rating[order], rtol=1e-6)


def test_a_history_of_a_rating_method_is_refused(films: Run) -> None:
    with pytest.raises(ConfigError, match=r"MeLU of .* is asked for ratings .* looks at no history; name users"):
        films.recommend(history=pd.DataFrame({"session": ["a"], "item": ["b"]}))


def test_what_was_learned_is_served_though_the_raw_file_has_grown(ranked: Run, clicks: Path) -> None:
    before, text = ranked.recommend("all", k=2), clicks.read_text()
    try:
        clicks.write_text(f"{text}new,new,999\n")

        again = recretrain.load(ranked.folder).recommend("all", k=2)
    finally:
        clicks.write_text(text)

    pd.testing.assert_frame_equal(again, before)


def test_data_that_are_gone_and_have_changed_are_refused(ranked: Run, clicks: Path, tmp_path: Path) -> None:
    prepared, text = ranked._opened.stream.folder, clicks.read_text()
    aside = prepared.rename(tmp_path / "aside")
    try:
        clicks.write_text(f"{text}new,new,999\n")

        with pytest.raises(ConfigError, match=r"learned from data .* raw files have changed since"):
            recretrain.load(ranked.folder)
    finally:
        clicks.write_text(text)
        aside.rename(prepared)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no run folder"):
        recretrain.load(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()
