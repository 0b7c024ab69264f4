"""The set-up script, run by real shells in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from services.data_plane.box_app.setup_script import read_script, script_for
from shared.providers import PROVIDERS
from tests.support.servers.tools import missing

ROWS = tuple(PROVIDERS.values())
ORIGIN = "http://127.0.0.1:20000"
SHELLS = [name for name in ("dash", "bash", "busybox", "zsh") if shutil.which(name)]
DEFAULTS = {
    "OPENAI_BASE_URL": f"{ORIGIN}/run9/ai/openai/v1/",
    "OPENAI_API_KEY": "run9-placeholder",
    "OPENAI_API_BASE": f"{ORIGIN}/run9/ai/openai/v1/",
    "ANTHROPIC_BASE_URL": f"{ORIGIN}/run9/ai/anthropic",
    "ANTHROPIC_AUTH_TOKEN": "run9-placeholder",
    "ANTHROPIC_API_KEY": "run9-placeholder",
    "ENABLE_TOOL_SEARCH": "true",
    "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
}


def command(shell: str, *arguments: str) -> list[str]:
    return [shell, *(["sh"] if shell == "busybox" else []), *arguments]


class Home:
    """A box's home folder, and its user running things there."""

    def __init__(self, folder: Path, shell: str = "dash") -> None:
        self.folder = folder
        self.shell = shell
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}  # noqa: TID251  # to find the shells

    def run(self, text: str, **variables: str) -> str:
        done = subprocess.run(
            command(self.shell),
            input=text,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_up(self, **variables: str) -> None:
        assert self.run(script_for(read_script(ROWS), ORIGIN), **variables) == ""

    def variables_after(self, text: str, **variables: str) -> dict[str, str]:
        lines = self.run(f"{text}\nenv", **variables).splitlines()
        pairs = dict(line.split("=", 1) for line in lines if "=" in line)
        return {name: pairs[name] for name in DEFAULTS if name in pairs}

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def codex(self) -> dict[str, object]:
        return tomllib.loads((self.folder / ".codex/config.toml").read_text())


@pytest.fixture(params=SHELLS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return Home(tmp_path, request.param)


def test_it_is_clean_for_every_posix_shell() -> None:
    shellcheck = shutil.which("shellcheck") or missing("shellcheck")
    done = subprocess.run(
        [shellcheck, "-s", "sh", "-"], input=read_script(ROWS), text=True, capture_output=True, check=False
    )
    assert done.stdout == ""


def test_later_shells_have_every_variable(home: Home) -> None:
    home.set_up()
    assert home.variables_after('. "$HOME/.profile"') == DEFAULTS
    assert home.variables_after('. "$HOME/.bashrc"') == DEFAULTS


def test_evaluated_it_sets_this_shell_and_leaves_nothing_else_behind(home: Home) -> None:
    script = home.write("setup.sh", script_for(read_script(ROWS), ORIGIN))
    assert home.variables_after(f'set -eu; eval "$(cat {script})"') == DEFAULTS
    left = home.run(f'eval "$(cat {script})"; set; umask').splitlines()
    assert not [line for line in left if line.startswith("run9_")]


def test_values_that_are_set_already_stay(home: Home) -> None:
    home.set_up()
    own = {"OPENAI_BASE_URL": "https://own.example/v1", "ANTHROPIC_API_KEY": "mine"}
    assert home.variables_after('. "$HOME/.profile"', **own) == DEFAULTS | own


def test_start_files_keep_what_the_user_has_and_a_second_run_changes_nothing(home: Home) -> None:
    home.write(".bashrc", "alias ll='ls -l'")
    home.write(".bash_profile", "# mine\n")
    home.write(".codex/config.toml", 'model = "gpt-5"\n')
    home.set_up()
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    before = {path: path.read_text() for path in files}
    assert before[home.folder / ".bashrc"].startswith("alias ll='ls -l'\n")
    assert ".config/run9/ai.sh" in before[home.folder / ".bash_profile"]
    home.set_up()
    assert {path: path.read_text() for path in home.folder.rglob("*") if path.is_file()} == before


def test_codex_gets_its_base_url_above_the_first_table(home: Home) -> None:
    home.write(
        ".codex/config.toml", 'model = "gpt-5"\n\n[profiles.x]\nopenai_base_url = "https://in.table"\n'
    )
    home.set_up()
    assert home.codex == {
        "openai_base_url": f"{ORIGIN}/run9/ai/openai/v1",
        "model": "gpt-5",
        "profiles": {"x": {"openai_base_url": "https://in.table"}},
    }


@pytest.mark.parametrize("line", ['openai_base_url="https://mine"', ' "openai_base_url" = "https://mine"'])
def test_a_base_url_of_the_users_own_stays_in_codex(home: Home, line: str) -> None:
    path = home.write(".codex/config.toml", f"{line}\n[a]\n")
    home.set_up()
    assert path.read_text() == f"{line}\n[a]\n"


def test_codex_is_found_where_its_variable_says(home: Home) -> None:
    home.set_up(CODEX_HOME=str(home.folder / "elsewhere"))
    assert (home.folder / "elsewhere/config.toml").exists()
    assert not (home.folder / ".codex").exists()


def test_a_codex_file_keeps_its_mode_and_its_link(home: Home) -> None:
    target = home.write("dotfiles/codex.toml", 'model = "gpt-5"\n')
    target.chmod(0o640)
    (home.folder / ".codex").mkdir()
    link = home.folder / ".codex/config.toml"
    link.symlink_to(target)
    home.set_up()
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert home.codex["openai_base_url"]


def test_a_home_that_cannot_be_written_still_sets_up_this_shell(home: Home) -> None:
    blocked = home.write("blocked", "a file, no folder")
    script = home.write("setup.sh", script_for(read_script(ROWS), ORIGIN))
    assert home.variables_after(f'eval "$(cat {script})"', HOME=str(blocked)) == DEFAULTS


def test_the_script_is_written_for_the_origin_that_the_box_used() -> None:
    assert "10.0.2.2" not in script_for(read_script(ROWS), ORIGIN)
    assert "http://10.0.2.2:1000" in read_script(ROWS)


@pytest.mark.parametrize("origin", ["http://x'; rm -rf ~; '", "http://$(id)", "https://x", "http://a b", ""])
def test_an_origin_that_would_be_shell_code_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        script_for(read_script(ROWS), origin)


def piped(home: Path, *arguments: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(shell), "-s", "--", *arguments],
        input=script_for(read_script(ROWS), ORIGIN),
        env={"HOME": str(home), "PATH": os.environ["PATH"]},  # noqa: TID251  # a shell needs its programs
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_that_is_piped_does_not_call_the_shell_ready_that_has_none_of_it(
    shell: str, tmp_path: Path
) -> None:
    done = piped(tmp_path, shell=shell)
    assert "later shells are set up, this one is not" in done.stderr
    assert f'eval "$(curl -fsS {ORIGIN}/run9/ai/setup.sh)"' in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_printing_writes_nothing_and_gives_lines_that_a_shell_takes(shell: str, tmp_path: Path) -> None:
    done = piped(tmp_path, "--print", shell=shell)
    assert list(tmp_path.iterdir()) == []
    taken = subprocess.run(
        command(shell, "-c", f'{done.stdout}\nprintf %s "$OPENAI_BASE_URL"'),
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},  # noqa: TID251  # same
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert taken.stdout == DEFAULTS["OPENAI_BASE_URL"]


@pytest.mark.parametrize("shell", SHELLS)
def test_undoing_leaves_every_file_as_it_was(shell: str, tmp_path: Path) -> None:
    before = {".profile": "export MINE=1\n", ".bashrc": "alias ll='ls -l'\n", ".codex/config.toml": "x = 1\n"}
    for name, text in before.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    piped(tmp_path, shell=shell)
    assert (tmp_path / ".profile").read_text() != before[".profile"]
    done = piped(tmp_path, "--undo", shell=shell)
    assert "taken out" in done.stderr
    assert {name: (tmp_path / name).read_text().rstrip("\n") + "\n" for name in before} == before
    assert not (tmp_path / ".config/run9/ai.sh").exists()
