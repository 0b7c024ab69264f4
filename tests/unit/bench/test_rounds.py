"""Tests of `bench/rounds.py`: how rounds are shuffled and repeated, and which rows a failure ends."""

from collections import Counter
from contextlib import AbstractContextManager, closing
from pathlib import Path

from bench.listing import ROWS
from bench.machine import Cores
from bench.measure import Load
from bench.processes import StartError
from bench.rounds import Plan, Played, Stage, does
from bench.rows import Row
from bench.subjects.listing import NO_PROXY, SUBJECTS, YARDSTICK
from bench.subjects.subject import Running, Subject, Surroundings
from bench.trials.trial import Scene, Trial
from bench.upstream import Upstream
from bench.workload import Work


def _plan(*, most_rounds: int, seed: int = 1) -> Plan:
    return Plan(ROWS, SUBJECTS, most_rounds=most_rounds, seconds_factor=1, seed=seed)


def test_every_row_is_played_its_own_number_of_times_with_every_subject_that_can() -> None:
    turns = Counter(
        (row.name, subject.name) for turns in _plan(most_rounds=100).rounds() for _, row, subject in turns
    )
    wanted = {(row.name, one.name): row.rounds for row in ROWS for one in SUBJECTS if does(one, row)}
    assert turns == wanted


def test_a_cap_shortens_all_rows_and_the_order_changes_with_the_seed() -> None:
    (one,) = _plan(most_rounds=1, seed=1).rounds()
    (other,) = _plan(most_rounds=1, seed=2).rounds()
    assert one != other
    assert {(row.name, who.name) for _, row, who in one} == {(row.name, who.name) for _, row, who in other}


def test_names_are_unique_and_the_yardsticks_exist() -> None:
    names = [subject.name for subject in SUBJECTS]
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {YARDSTICK, NO_PROXY} <= set(names)
    assert all(row.left_out <= set(names) for row in ROWS)


def _does_not_start(_: Surroundings) -> AbstractContextManager[Running]:
    raise StartError("no port")


def _trial_that_starts_nothing(scene: Scene, _subject: Subject) -> dict[str, float]:
    assert scene.folder.is_dir()
    return {"cpu": scene.seconds_factor}


def _trial_that_does_not_start(_scene: Scene, _subject: Subject) -> dict[str, float]:
    raise StartError("no ports")


_LOADS = [Row(name, name, Work("json"), 1, ()) for name in ("json", "more")]
_FINE = Trial("fine", "fine", (), _trial_that_starts_nothing)
_BROKEN = Trial("broken", "broken", (), _trial_that_does_not_start)


def _played(rows: list[Row | Trial], folder: Path) -> Played:
    subject = Subject("gateway", "gateway", lambda: None, _does_not_start, lambda: "")
    upstream = Upstream(port=1, tls_port=0, ca_file=folder / "ca", key_file=folder / "key")
    load = Load(folder / "load", [], folder)
    plan = Plan(rows, [subject], most_rounds=1, seconds_factor=0.5, seed=1)
    with closing(Stage(folder, Cores(0, 0), upstream, load)) as stage:
        return stage.play(plan)


def test_a_subject_that_does_not_start_fails_every_row_of_load_but_no_trial(tmp_path: Path) -> None:
    played = _played([*_LOADS, _FINE], tmp_path)
    assert set(played.failures) == {("json", "gateway"), ("more", "gateway")}
    assert [(sample.row, sample.figures) for sample in played.samples] == [("fine", {"cpu": 0.5})]


def test_a_trial_that_does_not_start_fails_alone(tmp_path: Path) -> None:
    played = _played([_BROKEN, _FINE], tmp_path)
    assert played.failures == {("broken", "gateway"): "no ports"}
    assert [sample.row for sample in played.samples] == ["fine"]


def test_peers_that_do_few_rows_play_after_all_others() -> None:
    *_, last = _plan(most_rounds=2).rounds()
    names = [subject.name for _, _, subject in last]
    assert names[-4:] == ["portkey", "portkey", "litellm", "litellm"]
    first, *_ = _plan(most_rounds=2).rounds()
    assert {"portkey", "litellm"}.isdisjoint(subject.name for _, _, subject in first)
