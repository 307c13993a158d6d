"""Every task calls mgrctl, so it starts fast: what it may not import."""

import subprocess
import sys

HEAVY = {
    "argparse", "asyncio", "concurrent.futures", "dataclasses", "email", "importlib.metadata",
    "inspect", "jinja2", "jsonschema", "logging", "rich", "sh", "shutil", "subprocess", "tempfile",
    "typing_extensions", "urllib.parse", "xml", "yaml",
}


def modules_after(host, *arguments):
    """What is loaded when mgrctl has answered."""
    program = (
        "import sys; from ltspec.mgrctl.command import main; main();"
        " sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=host.env, capture_output=True, text=True,
        check=True, cwd=host.root,
    )
    return set(done.stderr.split())


def test_finish_loads_nothing_heavy(filled):
    filled.running("a")
    elid = f"elid={filled.elid('a')}"
    assert modules_after(filled.host, "longtask.finish", elid, "status=ok") & HEAVY == set()


def test_list_loads_nothing_heavy(filled):
    filled.task("a")
    assert modules_after(filled.host, "-o", "xml", "longtask") & HEAVY == set()


def test_configuration_is_not_read_by_a_task_that_finishes(filled):
    filled.running("a")
    filled.host.config("manager: billmgr\n")
    elid = f"elid={filled.elid('a')}"
    assert "yaml" not in modules_after(filled.host, "longtask.finish", elid, "status=ok")
