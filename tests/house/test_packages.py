"""The wheel and the sdist: what is in them, and that they work outside the checkout."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCHEMAS = {"ltspec/schemas/job.schema.json", "ltspec/schemas/config.schema.json"}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packages")]


def succeed(*argv, **options):
    done = subprocess.run(
        [str(one) for one in argv], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(copy_checkout, tmp_path_factory):
    """The sdist, and the wheel that is built out of it, by the build backend of pyproject.toml."""
    directory = tmp_path_factory.mktemp("packages")
    checkout = copy_checkout(directory / "checkout")
    program = (
        "import sys; from hatchling import build\n"
        "print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"
    )
    sdist = directory / succeed(
        sys.executable, "-c", program, "sdist", directory, cwd=checkout
    ).strip().splitlines()[-1]
    with tarfile.open(sdist) as archive:
        archive.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    wheel = directory / succeed(
        sys.executable, "-c", program, "wheel", directory, cwd=unpacked
    ).strip().splitlines()[-1]
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The bin directory of a fresh environment with the wheel; the libraries are the tests' own,
    for what a user's pip fetches with it the README's test does."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    succeed(sys.executable, "-m", "venv", "--without-pip", venv)
    succeed(sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "--quiet",
            "--no-deps", "--no-index", built[1])
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = "import ltspec; print(ltspec.__file__)"
    assert succeed(venv / "bin/python", "-I", "-c", where).startswith(str(venv))
    return venv / "bin"


def test_sdist_holds_what_the_tests_and_the_schemas_need(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        links = [member.name for member in archive if member.issym() or member.islnk()]
    assert SCHEMAS | {"schemas/job.schema.json", "tests/conftest.py", "LICENSE"} <= names
    assert links == []


def test_wheel_holds_schemas_migrations_and_types_and_no_tests(built):
    with zipfile.ZipFile(built[1]) as archive:
        names = set(archive.namelist())
        schema = archive.read("ltspec/schemas/job.schema.json")
    assert {*SCHEMAS, "ltspec/py.typed", "ltspec/catalogue/migrations/0001_initial.sql"} <= names
    assert schema == (ROOT / "schemas/job.schema.json").read_bytes()
    assert {name.split("/")[0] for name in names} == {"ltspec", "ltspec-0.1.0.dist-info"}


def test_wheel_installed_prints_its_schema(installed, host):
    printed = host.run([installed / "ltspec", "schema", "job"], code=0).stdout
    assert printed == (ROOT / "schemas/job.schema.json").read_text()


def test_wheel_installed_validates_and_runs_a_job(installed, host):
    spec = host.write("jobs/hello.yml", "id: hello\nscript: |\n  echo it runs\n")
    host.run([installed / "ltspec", "validate", spec], code=0)
    host.run([installed / "ltspec", "apply", spec, "--wait"], code=0)
    assert host.status("hello") == "OK"
    assert "it runs" in host.run([installed / "ltspec", "logs", "hello"], code=0).stdout


def test_wheel_installed_mgrctl_answers(installed, host):
    spec = host.write(
        "jobs/own.yml",
        """
        id: own
        report: self
        script: mgrctl longtask.finish elid="$MGR_LT_PID" status=err errmsg="said so"
        """,
    )
    host.run([installed / "ltspec", "apply", spec, "--wait"], code=1)
    assert host.status("own") == "ERR said so"
    assert "said so" in host.run([installed / "mgrctl", "longtask"], code=0).stdout
