"""A broken plugin is one warning line that names its distribution and the reason; everything else works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from installed import install, install_module, python, reasonrec

from reasonrec_core import __version__, builtin
from reasonrec_core.hookspecs import HOOK_OF_KIND

LISTING = """
import os
from reasonrec_core.plugins import installed
found = installed()
print(*sorted(c.spec.name for c in found.components if c.distribution != "reasonrec-core"))
print(*sorted({c.spec.name for c in found.components if c.distribution == "reasonrec-core"}))
for problem in found.problems:
    if problem.distribution not in os.environ["REAL"].split(","):
        print(problem.status, problem.distribution, problem.kind, problem.name, sep="|")
"""
CORE = " ".join(sorted({spec.name for hook in HOOK_OF_KIND.values() for spec in getattr(builtin, hook, tuple)()}))
"""Names of the components that come with the core."""
GOOD = """
@hookimpl
def reasonrec_delegates():
    return [ComponentSpec("good", "nowhere:Good", "A good one")]
"""


def delegate(name: str, more: str = "") -> str:
    spec = f'ComponentSpec("{name}", "some.module:Name", "One"{more})'
    return f"@hookimpl\ndef reasonrec_delegates():\n    return [{spec}]\n"


BROKEN = {
    "misspelt hook": (
        "@hookimpl\ndef reasonrec_delegate():\n    return []\n",
        "unknown hook 'reasonrec_delegate'. Did you mean 'reasonrec_delegates'?",
    ),
    "misspelt hook beside a good one": (
        delegate("fine") + "@hookimpl\ndef reasonrec_encoder():\n    return []\n",
        "unknown hook 'reasonrec_encoder'. Did you mean 'reasonrec_encoders'?",
    ),
    "misspelt name given to the marker": (
        '@hookimpl(specname="reasonrec_polices")\ndef mine():\n    return []\n',
        "unknown hook 'reasonrec_polices'. Did you mean 'reasonrec_policies'?",
    ),
    "unmarked hook": ("def reasonrec_delegates():\n    return []\n", "is not marked with @hookimpl"),
    "no hook at all": ("x = 1\n", "implements no hook"),
    "wrong argument": ("@hookimpl\ndef reasonrec_delegates(config):\n    return []\n", "Argument(s) {'config'}"),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef reasonrec_delegates():\n    return (yield)\n",
        "hook 'reasonrec_delegates' is a wrapper",
    ),
    "missing dependency": (
        "import no_such_library\n",
        "missing dependency: no module named 'no_such_library'",
    ),
    "import error": ("from math import no_such_name\n", "cannot be imported: ImportError: cannot import name"),
    "exception while importing": ("raise RuntimeError('two\\nlines')\n", "RuntimeError: two lines"),
    "syntax error": ("def broken(:\n", "cannot be imported: SyntaxError"),
    "exit while importing": ("import sys; sys.exit('bye')\n", "cannot be imported: SystemExit: bye"),
    "hook that raises": ("@hookimpl\ndef reasonrec_policies():\n    raise KeyError('x')\n", "raised KeyError: 'x'"),
    "hook that exits": ("@hookimpl\ndef reasonrec_policies():\n    raise SystemExit\n", "raised SystemExit"),
    "generator that raises": (
        "@hookimpl\ndef reasonrec_policies():\n    yield ComponentSpec('a', 'b:c', 'd')\n    1 / 0\n",
        "hook 'reasonrec_policies' raised ZeroDivisionError: division by zero",
    ),
    "hook that returns nothing": ("@hookimpl\ndef reasonrec_delegates():\n    pass\n", "returned NoneType, not a list"),
    "hook that returns one record": (
        "@hookimpl\ndef reasonrec_delegates():\n    return ComponentSpec('a', 'b:c', 'd')\n",
        "returned ComponentSpec, not a list of ComponentSpec",
    ),
    "hook that returns text": ("@hookimpl\ndef reasonrec_delegates():\n    return 'als'\n", "returned str, not a list"),
    "hook that returns classes": (
        "@hookimpl\ndef reasonrec_delegates():\n    return [int]\n",
        "returned a list with type, not ComponentSpec",
    ),
    "hook that returns the wrong record": (
        "@hookimpl\ndef reasonrec_delegates():\n    return [CommandSpec('a', 'b:c', 'd')]\n",
        "returned a list with CommandSpec, not ComponentSpec",
    ),
    "capitals in a name": (delegate("Mine"), "name 'Mine' is not lower-case letters, digits and hyphens"),
    "target without a class": (
        "@hookimpl\ndef reasonrec_encoders():\n    return [ComponentSpec('a', 'some.module', 'd')]\n",
        "target 'some.module' is not 'package.module:Name'",
    ),
    "unknown task": (delegate("mine", ", ('sequential', 'rating')"), "tasks: 'rating'; known: sequential, direct"),
    "no summary": (
        "@hookimpl\ndef reasonrec_encoders():\n    return [ComponentSpec('a', 'b:c', ' ')]\n",
        "summary is not one line",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_one_line_and_the_others_work(tmp_path: Path, case: str) -> None:
    code, reason = BROKEN[case]
    install_module(tmp_path, "reasonrec-a-broken", code)
    install_module(tmp_path, "reasonrec-good", GOOD)
    done = python(tmp_path, LISTING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["good", CORE]
    assert done.stdout.splitlines()[2:] == ["failed|reasonrec-a-broken|None|main"]
    warnings = done.stderr.splitlines()
    assert len(warnings) == 1, done.stderr
    assert warnings[0].startswith("plugin 'main' of reasonrec-a-broken 0.1.0 is ignored: ")
    assert reason in warnings[0]


@pytest.mark.parametrize("case", ["misspelt hook", "missing dependency", "hook that raises", "capitals in a name"])
def test_a_broken_plugin_is_an_error_where_the_user_is_strict(tmp_path: Path, case: str) -> None:
    install_module(tmp_path, "reasonrec-a-broken", BROKEN[case][0])
    done = python(
        tmp_path,
        """
        from reasonrec_core.errors import PluginError
        from reasonrec_core.plugins import installed
        try:
            installed()
        except PluginError as error:
            print(error)
        """,
        REASONREC_STRICT_PLUGINS="1",
    )
    assert done.stdout.startswith("plugin 'main' of reasonrec-a-broken 0.1.0 is ignored: "), done.stderr
    assert BROKEN[case][1] in done.stdout


def test_two_distributions_with_one_component_name_are_told_apart_by_the_distribution(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-b", delegate("als"))
    install_module(tmp_path, "reasonrec-a", delegate("als") + GOOD.replace("delegates", "encoders"))
    done = python(tmp_path, LISTING, REASONREC_STRICT_PLUGINS="1")
    assert done.stdout.splitlines()[:2] == ["good", CORE], done.stderr
    assert done.stdout.splitlines()[2:] == ["qualified|reasonrec-a|delegate|als", "qualified|reasonrec-b|delegate|als"]
    assert done.stderr == ""
    rows = json.loads(reasonrec(tmp_path, "plugins", "--json", real="reasonrec-doctor").stdout)
    assert [row["status"] for row in rows if row["name"] == "als"] == [
        f"qualified: {other} offers the same name; choose it as '{mine}:als'"
        for mine, other in (("reasonrec-a", "reasonrec-b"), ("reasonrec-b", "reasonrec-a"))
    ]


def test_two_distributions_with_one_verb_are_told_apart_by_the_distribution(tmp_path: Path) -> None:
    verb = "@hookimpl\ndef reasonrec_commands():\n    return [CommandSpec('data act', 'here_{}:act', 'Acts {}.')]\n"
    for name in "ab":
        install_module(tmp_path, f"reasonrec-{name}", verb.format(name, name))
        code = f"import click\n@click.command()\ndef act():\n    print('{name}')\n"
        (tmp_path / f"here_{name}.py").write_text(code)
    assert reasonrec(tmp_path, "data", "reasonrec-b:act").stdout == "b\n"
    done = reasonrec(tmp_path, "data", "act")
    assert done.returncode == 2
    assert "2 distributions offer it: write reasonrec-a:act or reasonrec-b:act." in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("requires", "accepted"),
    [
        ("reasonrec-core>=0.2,<0.3", True),
        ("reasonrec-core<0.3,>=0.2", True),
        ("reasonrec_core (>=0.2)", True),
        ("reasonrec-core~=0.2.0", True),
        ("reasonrec-core==0.2.*", True),
        ("reasonrec-core", True),
        ("reasonrec-core>=9 ; extra == 'new'", True),
        ("reasonrec-core>=0.3", False),
        ("reasonrec-core>=0.2.1", False),
        ("Reasonrec.Core[x]<0.2", False),
        ("reasonrec-core==0.1.*", False),
        ("reasonrec-core!=0.2.0", False),
        ("reasonrec>=0.1,<0.2", False),
    ],
)
def test_a_plugin_for_another_core_is_left_out_and_says_why(tmp_path: Path, requires: str, accepted: bool) -> None:
    install_module(tmp_path, "reasonrec-a", GOOD, requires=[requires, "numpy>=99"])
    done = python(tmp_path, LISTING)
    if accepted:
        assert done.stdout.splitlines() == ["good", CORE]
        assert done.stderr == ""
        return
    assert done.stdout.splitlines() == ["", CORE, "failed|reasonrec-a|None|main"]
    need = requires.replace("[x]", "")
    assert f"is ignored: it needs {need}, but reasonrec-core {__version__} is installed: pip" in done.stderr


def test_the_same_name_in_another_kind_is_no_conflict(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", delegate("same"))
    install_module(tmp_path, "reasonrec-b", delegate("same").replace("delegates", "encoders"))
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines() == ["same same", CORE]
    assert done.stderr == ""


def test_a_name_of_the_core_stays_the_cores(tmp_path: Path) -> None:
    install_module(tmp_path, "a-first", delegate("popularity"))
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines() == ["", CORE, "conflict|a-first|delegate|popularity"]
    reason = "reasonrec-core offers the same name; choose it as 'a-first:popularity'"
    assert done.stderr == f"delegate 'popularity' of a-first 0.1.0 is ignored: {reason}\n"


def test_one_distribution_that_offers_a_name_twice_loses_it(tmp_path: Path) -> None:
    twice = "@hookimpl\ndef reasonrec_encoders():\n    return [ComponentSpec('a', 'b:c', 'd')] * 2\n"
    install_module(tmp_path, "reasonrec-a", twice)
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines()[0] == ""
    assert "encoder 'a' of reasonrec-a 0.1.0 is ignored: reasonrec-a offers the same name" in done.stderr


def test_two_distributions_with_one_entry_point_name_both_load(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", delegate("one"), entry="same")
    install_module(tmp_path, "reasonrec-b", delegate("two"), entry="same")
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines() == ["one two", CORE]
    assert done.stderr == ""


def test_a_module_that_two_distributions_name_is_loaded_once(tmp_path: Path) -> None:
    install(tmp_path, "reasonrec-b", {}, {"main": "reasonrec_a"})
    install_module(tmp_path, "reasonrec-a", delegate("one"))
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines()[:2] == ["one", CORE], done.stderr
    reason = "module 'reasonrec_a' is already the plugin of reasonrec-a"
    assert done.stderr == f"plugin 'main' of reasonrec-b 0.1.0 is ignored: {reason}\n"


def test_two_versions_of_one_distribution_are_reported(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", delegate("one"))
    install(tmp_path, "reasonrec-a", {}, {"main": "reasonrec_a"}, version="0.2.0")
    done = python(tmp_path, LISTING)
    assert done.stdout.splitlines()[:2] == ["one", CORE]
    assert done.stderr.count("\n") == 1, done.stderr
    assert "reasonrec-a" in done.stderr
    assert "0.1.0 and 0.2.0" in done.stderr


def test_a_distribution_on_an_earlier_path_hides_a_later_one(tmp_path: Path) -> None:
    install_module(tmp_path / "one", "reasonrec-a", delegate("new"), version="2.0")
    install_module(tmp_path / "two", "reasonrec-a", delegate("old"), version="1.0")
    done = python(tmp_path / "one", f"import sys; sys.path.append({str(tmp_path / 'two')!r})\n" + LISTING)
    assert done.stdout.splitlines()[0] == "new"
    assert done.stderr == ""


def test_an_entry_point_must_name_a_module(tmp_path: Path) -> None:
    install(tmp_path, "reasonrec-a", {"reasonrec_a.py": ""}, {"main": "reasonrec_a:thing"})
    done = python(tmp_path, LISTING)
    assert "entry point 'main' names 'reasonrec_a:thing'; it must name a module" in done.stderr


def test_only_allowed_plugins_are_loaded(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", delegate("one"))
    install_module(tmp_path, "reasonrec-b", "raise RuntimeError")
    done = python(tmp_path, LISTING, REASONREC_LOAD_PLUGINS="Reasonrec_A")
    assert done.stdout.splitlines()[:2] == ["one", CORE]
    assert "disabled|reasonrec-b|None|main" in done.stdout
    assert done.stderr == ""
    done = python(tmp_path, LISTING, REASONREC_LOAD_PLUGINS="")
    assert done.stdout.splitlines()[:2] == ["", CORE]


def test_a_name_in_the_allow_list_that_is_not_installed_is_reported(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-alpha", delegate("one"))
    done = python(tmp_path, LISTING, REASONREC_LOAD_PLUGINS="reasonrec-alfa")
    assert done.stderr.count("\n") == 1
    assert "REASONREC_LOAD_PLUGINS names it, but it is not installed. Did you mean 'reasonrec-alpha'?" in done.stderr


def test_disabled_plugins_are_not_even_imported(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", delegate("one"))
    install_module(tmp_path, "reasonrec-b", "print('imported')")
    done = python(tmp_path, LISTING, REASONREC_DISABLE_PLUGINS="reasonrec.b, unknown", REASONREC_STRICT_PLUGINS="1")
    assert done.stdout.splitlines()[:2] == ["one", CORE]
    assert done.stderr == ""


def test_plugins_in_a_zip_archive_and_behind_other_finders_are_found(tmp_path: Path) -> None:
    import shutil

    install_module(tmp_path / "site", "reasonrec-a", delegate("zipped"))
    archive = shutil.make_archive(str(tmp_path / "bundle"), "zip", tmp_path / "site")
    done = python(None, f"import sys; sys.path.append({archive!r})\n" + LISTING)
    assert done.stdout.splitlines()[:2] == ["zipped", CORE], done.stderr


def test_reading_folders_agrees_with_importlib_metadata() -> None:
    from reasonrec_core.plugins import metadata

    fast = {(d.key, d.version, tuple(sorted(d.entries))) for d in metadata._from_folders() if d.entries}
    slow = {(d.key, d.version, tuple(sorted(d.entries))) for d in metadata._from_metadata() if d.entries}
    assert fast == slow
    assert any(key == "reasonrec-core" for key, _, _ in fast)


def test_a_missing_module_is_mended_by_what_the_distribution_requires(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-a", "import cv9", requires=["opencv-nine>=1", "numpy"])
    done = python(tmp_path, LISTING)
    assert "missing dependency: no module named 'cv9' (pip install opencv-nine)" in done.stderr
