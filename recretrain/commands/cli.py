"""The command line: verbs, their help at once, and one short message for every mistake."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from recretrain import __version__, load, sleep_while_waiting, tables
from recretrain.commands.endings import at_once, check_verb, ended
from recretrain.configuration import options as listing
from recretrain.configuration.compose import conf_dir
from recretrain.configuration.hints import fits, in_words
from recretrain.errors import ConfigError
from recretrain.report.pages.formats import FORMATS
from recretrain.report.pages.screen import screen_of
from recretrain.values import AtLeast0, AtLeast1, Positive
from recretrain.visible import one_line, visible


def program() -> int:
    """Be the process of one command line, `recretrain` or `python -m recretrain`; returns its exit code."""
    code = main()
    if not {"torch", "joblib", "submitit"} & sys.modules.keys():  # nothing has been begun that ends in an order
        at_once(code)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; heavy modules are imported by the verb that needs them."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        os.environ["RECRETRAIN_TRACEBACK"] = "1"
    sleep_while_waiting()
    return ended(lambda: _dispatch(arguments))


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every mistake is told."""

    def error(self, message: str) -> NoReturn:
        print(f"recretrain: {one_line(message)}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="recretrain", description="Retrain recommenders period by period.", epilog=EPILOG)
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    top.add_argument("--version", action="version", version=f"recretrain {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="", required=True)
    verbs.add_parser("run", help="train what is missing of a run or a sweep, then show its table", add_help=False)
    _add_reproduce(verbs.add_parser("reproduce", help="every run of a paper's table, then the table"))
    _add_arena(verbs.add_parser("arena", help="all methods that fit some data: a search, a page, a verdict"))
    _add_report(verbs.add_parser("report", help="tables of the runs there are"))
    _add_data(verbs.add_parser("data", help="find, prepare, describe or generate data"))
    _add_list(verbs.add_parser("list", help="what can be chosen: methods, data, schedules, tables, ..."))
    _add_advance(verbs.add_parser("advance", help="go on with finished runs, whose data have new periods"))
    _add_recommend(verbs.add_parser("recommend", help="the best items of users or sessions, by a finished run"))
    _add_export(verbs.add_parser("export", help="weights and embeddings of a finished run, for other programs"))
    _add_evidence(verbs.add_parser("evidence", help="the items that a newcomer should rate first, by a run of MeLU"))
    _add_aspects(verbs.add_parser("aspects", help="the words that a rating comes from, by a run of CATN"))
    _add_verify(verbs.add_parser("verify", help="are all results as they were written?"))
    verbs.add_parser("doctor", help="versions, devices, memory, data found").set_defaults(act=_doctor)
    return top


EPILOG = """\
examples:
  recretrain run method=sml data=yelp
  recretrain run -m method=sml,fine_tune seed=0,1,2
  recretrain report outputs/ --format github
  eval "$(recretrain -sc install=bash)"    completion of names and keys"""


def _dispatch(arguments: list[str]) -> None:
    if arguments[:1] == ["run"]:
        _run(arguments[1:])
    elif arguments[:1] in (["-sc"], ["--shell-completion"]):
        from recretrain.commands.completion import complete

        complete(arguments, parser())
    elif not arguments:
        parser().print_help()
        raise SystemExit(2)
    else:
        found = _parsed(arguments)
        act: Callable[[argparse.Namespace], None] = found.act
        act(found)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments, and collect the overrides behind an option, which argparse leaves over."""
    top = parser()
    check_verb(top, arguments)
    found, left_over = top.parse_known_args(arguments)
    wrong = [word for word in left_over if "overrides" not in found or word[0] == "-" or "=" not in word]
    if wrong:
        top.error(f"unrecognized arguments: {' '.join(wrong)}")
    if left_over:
        found.overrides += left_over
    return found


def _run(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        from recretrain.configuration.help import run_help

        _show(run_help(arguments))
        return
    from recretrain.commands.run import launch

    launch(arguments)


def _add_reproduce(verb: argparse.ArgumentParser) -> None:
    verb.description = "Run what is missing of a table, then print it with the published figures beside ours."
    verb.add_argument("table", help="a name from `recretrain list tables`")
    only = "method= and data= leave the other runs out; the rest is added"
    verb.add_argument("overrides", nargs="*", metavar="key=value", help=only)
    verb.add_argument("--seeds", type=_seeds, metavar="0,1,2", help="run each with these seeds")
    verb.add_argument("--jobs", type=_number(AtLeast1), metavar="N", help="runs at once")
    verb.add_argument("--dry-run", action="store_true", help="say what would run")
    verb.set_defaults(act=_reproduce)


def _reproduce(found: argparse.Namespace) -> None:
    from recretrain.commands.reproduce import plan, reproduce

    if found.dry_run:
        _show(plan(found.table, found.overrides, seeds=found.seeds))
    else:
        reproduce(found.table, found.overrides, seeds=found.seeds, jobs=found.jobs)


def _add_arena(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        "Search the settings of all methods that answer these questions, on the choosing periods and with the same "
        "number of trials, run the chosen ones with seeds, and judge. Repeat the command to go on."
    )
    about = "as for run, and methods=auto|a,b budget=30m trials=N seeds=3 metric=recall@20"
    verb.add_argument("overrides", nargs="*", metavar="key=value", help=about)
    verb.add_argument("--out", type=Path, metavar="FILE", help="the page; default: in the arena's folder of outputs/")
    verb.set_defaults(act=_arena)


def _arena(found: argparse.Namespace) -> None:
    from recretrain.commands.arena import arena

    logging.basicConfig(level=logging.INFO, format="%(asctime)s | %(message)s", datefmt="%H:%M:%S")
    print(arena(found.overrides, found.out))


def _add_advance(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        "Prepare, ask and learn what the data of finished runs have brought since, one run after another."
    )
    verb.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder below outputs/")
    _add_trust(verb)
    verb.set_defaults(act=_advance)


def _advance(found: argparse.Namespace) -> None:
    from recretrain.commands.advance import advance
    from recretrain.commands.run import show_tables

    for folder in found.runs:
        _show(advance(folder, found.trust))
    show_tables(folder.resolve() for folder in found.runs)


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        "Compare every file of every finished task with its seal, and figures with the answers they are of."
    )
    verb.add_argument("outputs", nargs="?", type=Path, default=Path("outputs"), help="default: outputs")
    verb.add_argument("--mend", action="store_true", help="first write anew what can be: rows.csv, from its copy")
    verb.set_defaults(act=_verify)


def _verify(found: argparse.Namespace) -> None:
    from recretrain.commands.verify import mend, verify

    if found.mend:
        for line in mend(found.outputs):
            _show(line)
    _show(verify(found.outputs))


def _add_recommend(verb: argparse.ArgumentParser) -> None:
    verb.description = "The best items of each user, as a finished run has learned them: user, rank, item, score."
    verb.add_argument("run", type=Path, help="a run folder below outputs/")
    whom = verb.add_mutually_exclusive_group(required=True)
    listed = "raw ids, one a line, or a .csv or .parquet file with a column"
    whom.add_argument("--users", metavar="FILE|all", help=f"{listed} user; all: those met by the last learned period")
    rows = "a .csv or .parquet file with the columns"
    whom.add_argument(
        "--history", type=Path, metavar="FILE", help=f"{rows} session (or user) and item, the newest last"
    )
    whom.add_argument("--support", type=Path, metavar="FILE", help=f"{rows} user, item and rating (MeLU)")
    verb.add_argument("--k", type=_number(AtLeast1), default=20, metavar="N", help="items for each; default: 20")
    verb.add_argument("--candidates", type=Path, metavar="FILE", help=f"the items to choose from: {listed} item")
    verb.add_argument("--exclude-seen", action="store_true", help="leave out what a user had in the learned periods")
    verb.add_argument("--skip-unknown", action="store_true", help="leave unknown users and items out")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .parquet or .csv file")
    _add_trust(verb)
    verb.set_defaults(act=_recommend)


def _recommend(found: argparse.Namespace) -> None:
    from recretrain.serving.files import check_suffix, ids_in, table_in, write
    from recretrain.serving.wishes import Wish

    check_suffix(found.out)
    wish = Wish(
        users=found.users if found.users in (None, "all") else ids_in(Path(found.users), "user"),
        history=found.history and table_in(found.history),
        support=found.support and table_in(found.support),
        k=found.k,
        candidates=found.candidates and ids_in(found.candidates, "item"),
        exclude_seen=found.exclude_seen,
        skip_unknown=found.skip_unknown,
    )
    rows = write(load(found.run, found.trust).recommended(wish), found.out)
    print(f"{rows:,} rows written to {found.out}", file=sys.stderr)


def _add_trust(verb: argparse.ArgumentParser) -> None:
    wanted = "a package of your own whose classes the run's settings may name; recretrain's always may"
    verb.add_argument("--trust", action="append", default=[], metavar="PACKAGE", help=wanted)


def _add_export(verb: argparse.ArgumentParser) -> None:
    verb.description = "Weights (safetensors), ids with embeddings (parquet), settings, and a README how to use them."
    verb.add_argument("run", type=Path, help="a run folder below outputs/")
    verb.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    _add_trust(verb)
    verb.set_defaults(act=_export)


def _export(found: argparse.Namespace) -> None:
    print(f"written to {load(found.run, found.trust).export(found.out)}", file=sys.stderr)


def _add_evidence(verb: argparse.ArgumentParser) -> None:
    verb.description = "Items by popularity times the norm of their ratings' gradients (MeLU); also to evidence.csv."
    verb.add_argument("run", type=Path, help="a run folder of method=melu")
    verb.add_argument("--top", type=_number(AtLeast1), default=20, metavar="N", help="default: 20")
    verb.add_argument(
        "--least-error", type=_number(Positive), default=0.1, metavar="E", help="smaller errors count as this; 0.1"
    )
    verb.add_argument("--norm", choices=("decisions", "tensors"), default="decisions", help="paper | released code")
    _add_trust(verb)
    verb.set_defaults(act=_evidence)


def _evidence(found: argparse.Namespace) -> None:
    from recretrain.engine.evidence import candidates
    from recretrain.report.pages.terminal import records

    rows = candidates(found.run, top=found.top, least_error=found.least_error, norm=found.norm, trusted=found.trust)
    _show(records([vars(row) for row in rows], screen_of(sys.stdout)))


def _add_aspects(verb: argparse.ArgumentParser) -> None:
    verb.description = "Of one rating: the words that each aspect attends to, and what pairs of aspects add (CATN)."
    verb.add_argument("run", type=Path, help="a run folder of method=catn, or one of its variants")
    verb.add_argument("--user", metavar="ID", help="raw id; default: of the first test question")
    verb.add_argument("--item", metavar="ID", help="raw id, of the target domain")
    verb.add_argument("--top", type=_number(AtLeast1), default=8, metavar="N", help="words of an aspect; default: 8")
    _add_trust(verb)
    verb.set_defaults(act=_aspects)


def _aspects(found: argparse.Namespace) -> None:
    from recretrain.engine.aspects import reasons
    from recretrain.report.pages.terminal import records

    rating = reasons(found.run, user=found.user, item=found.item, top=found.top, trusted=found.trust)
    _show(f"{rating.item} by {rating.user}: {rating.rating:.3f}, of which biases are {rating.biases:.3f}\n")
    screen = screen_of(sys.stdout)
    _show(records([vars(aspect) for aspect in rating.aspects], screen))
    rows = [
        {"adds": f"user's {user}", **{f"item's {item}": part for item, part in enumerate(parts, start=1)}}
        for user, parts in enumerate(rating.parts, start=1)
    ]
    _show(f"\n{records(rows, screen, '{:+.4f}')}")


def _add_report(verb: argparse.ArgumentParser) -> None:
    verb.description = "The tables of all finished runs below a folder."
    verb.add_argument("outputs", nargs="?", type=Path, default=Path("outputs"), help="default: outputs")
    verb.add_argument("--table", metavar="NAME", help="a paper's table (`recretrain list tables`)")
    verb.add_argument("--format", choices=FORMATS, default="terminal")
    verb.add_argument("--test", choices=("test", "choosing"), default="test", help="which periods (default: test)")
    verb.add_argument("--group", default="all", metavar="NAME", help="questions of new_user, new_item, user_cold, ...")
    verb.add_argument("--only", action="append", default=[], metavar="key=value", help="runs with this fact: data=yelp")
    verb.add_argument("--compare", metavar="METHOD", help="test the others against it, question by question")
    verb.add_argument("--by-period", metavar="METRIC", help="such as recall@20, period by period")
    verb.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the metric over the periods into this folder")
    verb.add_argument("--out", type=Path, metavar="FILE", help="write it there")
    verb.set_defaults(act=_report)


def _report(found: argparse.Namespace) -> None:
    only = dict(_pair(fact) for fact in found.only)
    text = tables(
        found.outputs,
        table=found.table,
        format=found.format,
        test=found.test,
        group=found.group,
        only=only,
        compare=found.compare,
        by_period=found.by_period,
        screen=screen_of(sys.stdout) if found.out is None else None,
    )
    _put(text, found.out)
    if found.plots:
        from recretrain.report import plot

        drawn = plot(
            found.outputs,
            into=found.plots,
            conf_dir=conf_dir(),
            table=found.table,
            metric=found.by_period,
            test=found.test,
            group=found.group,
            only=only,
        )
        _show("\n".join(map(str, drawn)))


def _add_data(verb: argparse.ArgumentParser) -> None:
    actions = verb.add_subparsers(metavar="", required=True)
    for name, about in DATA_ACTIONS.items():
        action = actions.add_parser(name, help=about, description=about)
        action.set_defaults(act=_data, action=name)
        if name == "synth":
            action.add_argument("folder", type=Path, help="where to write the files")
        action.add_argument(
            "overrides", nargs="*", metavar="key=value", help="as for run: data=yelp data.cut.periods=20 ..."
        )


DATA_ACTIONS = {
    "list": "the data sets, what was found of them and where each comes from",
    "prepare": "turn raw files into period files, and say what each filter dropped",
    "describe": "periods, users and items of prepared data",
    "synth": "generate files in the raw layout of a data set",
}


def _data(found: argparse.Namespace) -> None:
    from recretrain.commands import data as datasets

    logging.basicConfig(level=logging.INFO, format="%(asctime)s | %(message)s", datefmt="%H:%M:%S")
    if found.action == "synth":
        _show(datasets.generated(found.folder, found.overrides))
    else:
        act = {"list": datasets.listed, "prepare": datasets.prepared, "describe": datasets.described}[found.action]
        _show(act(found.overrides))


def _add_list(verb: argparse.ArgumentParser) -> None:
    verb.description = "What can be chosen, one a line with its meaning."
    verb.add_argument("kind", nargs="?", choices=tuple(listing.GROUPS), help="default: all")
    verb.set_defaults(act=_list)


def _list(found: argparse.Namespace) -> None:
    kinds = [found.kind] if found.kind else list(listing.GROUPS)
    _show(screen_of(sys.stdout).wrapped(listing.listed(conf_dir(), kinds)))


def _doctor(_: argparse.Namespace) -> None:
    from recretrain.commands.doctor import examine

    _show(screen_of(sys.stdout).wrapped(examine()))


def _number(hint: Any) -> Callable[[str], Any]:
    """Read an argument as a number that satisfies the hint."""

    def read(text: str) -> Any:
        with suppress(ValueError):
            number = float(text)
            value = int(number) if number.is_integer() and "." not in text else number
            if fits(value, hint):
                return value
        raise argparse.ArgumentTypeError(f"{text} must be {in_words(hint)}")

    return read


def _seeds(text: str) -> str:
    """Read a list of seeds, as an override holds it."""
    for seed in text.split(","):
        if not seed.strip().isdecimal() or not fits(int(seed), AtLeast0):
            raise argparse.ArgumentTypeError(f"{text} must be whole numbers with commas between, such as 0,1,2")
    return text


def _show(text: object) -> None:
    """Print what may hold words of a file."""
    print(visible(str(text)))


def _put(text: str, file: Path | None) -> None:
    if file is None:
        print(text)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    print(f"written to {file}", file=sys.stderr)


def _pair(fact: str) -> tuple[str, str]:
    key, equals, value = fact.partition("=")
    if not equals:
        raise ConfigError(f"--only {fact}: write key=value, for example --only data=yelp")
    return key, value
