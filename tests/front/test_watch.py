"""`ltspec watch`: files dropped in, changed, broken, replaced, taken away.

Most tests look at one watcher, each with files and queues of its own name.
"""

import contextlib
import signal
import subprocess
import sys

import pytest


class Watching:
    """A running `ltspec watch jobs/`, its output in files."""

    def __init__(self, host, wait_until, process):
        self.host = host
        self.wait_until = wait_until
        self.process = process

    def until_status(self, reference, status="OK"):
        self.wait_until(lambda: self.host.status(reference) == status, what=reference)

    @property
    def said(self):
        return (self.host.root / "watch.out").read_text()

    def until_said(self, text):
        self.wait_until(lambda: text in self.said, what=text)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 130
        assert "Traceback" not in self.said


@contextlib.contextmanager
def a_watcher(host, wait_until, *options):
    with open(host.root / "watch.out", "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ltspec", "watch", "jobs/", *options], env=host.env,
            cwd=host.root, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )
    with process:
        try:
            watching = Watching(host, wait_until, process)
            watching.until_said("watching jobs/")
            yield watching
        finally:
            process.kill()


@pytest.fixture(scope="module")
def watcher(shared_host):
    """The one that most tests look at. Ends by itself as at Ctrl-C, without a trace."""
    import time

    def wait_until(condition, timeout=20, what=""):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
            time.sleep(0.01)

    with a_watcher(shared_host, wait_until) as watching:
        yield watching
        watching.end()


def job(name, command="/bin/true", more=""):
    return f"id: {name}\nqueue: q-{name}\ncommand: {command}\n{more}"


def drop(watching, name, text):
    """Move a file in."""
    staged = watching.host.write(f"staged-{name}", text)
    return staged.rename(watching.host.jobs / name)


def test_watch_applies_what_is_written_and_what_is_moved_in(watcher):
    drop(watcher, "moved.yml", job("moved"))
    watcher.host.write("jobs/sub/written.yml", job("written"))
    watcher.until_status("q-moved/moved")
    watcher.until_status("q-written/written")
    watcher.until_said("created    q-moved/moved")


def test_watch_applies_what_is_there_before(host, wait_until):
    host.write("jobs/first.yml", job("first"))
    with a_watcher(host, wait_until) as watching:
        watching.until_status("q-first/first")
        watching.end()


def test_watch_waits_for_a_file_that_is_still_written(watcher):
    with open(watcher.host.jobs / "slow.yml", "w") as file:
        file.write("id: slow\nqueue: q-slow\n")
        file.flush()
        drop(watcher, "beside-slow.yml", job("beside-slow"))
        watcher.until_status("q-beside-slow/beside-slow")
        file.write("command: /bin/true\n")
    watcher.until_status("q-slow/slow")
    assert "jobs/slow.yml: 1 problem" not in watcher.said      # it was never looked at half


def test_watch_reports_a_broken_file_once_and_takes_it_when_it_is_mended(watcher):
    drop(watcher, "bad.yml", "id: bad\ncomand: x\n")
    watcher.until_said("jobs/bad.yml: 1 problem, kept out until it changes")
    for name in ("next1", "next2"):
        drop(watcher, f"{name}.yml", job(name))
        watcher.until_status(f"q-{name}/{name}")
    assert watcher.said.count("jobs/bad.yml: 1 problem") == 1
    assert watcher.said.count("\njobs/bad.yml:2:1: error: unknown key `comand`") == 1
    drop(watcher, "bad.yml", job("bad"))
    watcher.until_status("q-bad/bad")


@pytest.mark.parametrize(("name", "command", "more", "status"), [
    ("good", "/bin/true", "", "OK"),
    ("poor", "/bin/false", "", "ERR exit code 1"),
    ("nightly", "/bin/true", "rerun: always\n", "OK"),
])
def test_watch_runs_an_ended_task_again_only_for_a_changed_definition(
    watcher, name, command, more, status
):
    reference = f"q-{name}/{name}"
    drop(watcher, f"{name}.yml", job(name, command, more))
    watcher.until_status(reference, status)
    drop(watcher, f"{name}.yml", job(name, command, more) + "# a comment\n")
    watcher.until_said(f"jobs/{name}.yml: 1 unchanged")
    assert watcher.host.json("show", reference)["attempts"] == 1
    drop(watcher, f"{name}.yml", job(name, "/bin/echo changed", more))
    watcher.wait_until(lambda: watcher.host.json("show", reference)["attempts"] == 2)


def test_watch_ignores_editors_files_and_the_config(watcher):
    for name in (".one.yml.swp", ".hidden.yml", "one.yml~", "#one.yml#", "4913", "ltspec.yml"):
        watcher.host.write(f"jobs/{name}", "nonsense: [")
    drop(watcher, "after-editors.yml", job("after-editors"))
    watcher.until_status("q-after-editors/after-editors")
    assert "nonsense" not in watcher.said
    assert "one.yml" not in watcher.said


def test_watch_takes_a_file_whose_need_comes_later(watcher):
    drop(watcher, "needing.yml", job("needing", more="needs: [needed]\n"))
    watcher.until_said("jobs/needing.yml: kept out for now: ")
    assert "q-needing/needing needs needed, which is neither" in watcher.said
    drop(watcher, "needed.yml", job("needed"))
    watcher.until_status("q-needing/needing")
    assert watcher.said.count("jobs/needing.yml: kept out for now") == 1


def test_watch_applies_a_file_that_is_never_quiet_now_and_then(watcher):
    script = (
        "import sys, time\n"
        "for number in range(10**9):\n"
        "    with open(sys.argv[1], 'w') as f: f.write(sys.argv[2] + f'# {number}\\n')\n"
        "    time.sleep(0.01)\n"
    )
    path = str(watcher.host.jobs / "busy.yml")
    busy = subprocess.Popen([sys.executable, "-c", script, path, job("busy")])
    try:
        drop(watcher, "beside-busy.yml", job("beside-busy"))
        watcher.until_status("q-beside-busy/beside-busy")
        watcher.until_status("q-busy/busy")
    finally:
        busy.kill()
        busy.wait()
    drop(watcher, "busy.yml", job("busy", "/bin/echo quiet"))
    watcher.wait_until(lambda: watcher.host.json("show", "busy")["attempts"] == 2)


def test_watch_takes_thousands_of_files_at_once_and_logs_a_few_lines(watcher):
    staged = watcher.host.root / "staged"
    staged.mkdir()
    for number in range(2000):
        text = f"id: t{number}\nqueue: q-many\nwhen: 'false'\ncommand: x\n"
        (staged / f"t{number}.yml").write_text(text)
    broken = [staged / f"t{number}.yml" for number in range(0, 2000, 500)]
    for path in broken:
        path.write_text(f"id: {path.stem}\nqueue: q-many\ncomand: x\n")
    (staged / "zlast.yml").write_text(job("zlast"))
    for path in sorted(staged.iterdir()):
        path.rename(watcher.host.jobs / path.name)
    watcher.until_status("q-zlast/zlast")
    for path in broken:
        watcher.until_said(f"jobs/{path.name}: 1 problem, kept out")
    assert len([line for line in watcher.said.splitlines() if "/t" in line]) < 100


def test_watch_gives_a_variable_to_those_files_that_use_it(host):
    host.write("jobs/a.yml", "vars: { who: nobody }\nid: a\ncommand: [echo, '{{ who }}']\n")
    host.ltspec("watch", "--once", "jobs/", "-e", "who=you", code=0)
    host.write("jobs/b.yml", "id: b\ncommand: 'true'\n")
    host.ltspec("watch", "--once", "jobs/", "-e", "who=you", code=0)
    host.ltspec("wait", "a", "b", code=0)
    assert host.ltspec("logs", "a").stdout == "you\n"


@pytest.fixture
def waiting(host):
    """A task of jobs/one.yml that waits behind a long one in q-one."""
    host.ltspec("run", "-q", "q-one", "--id", "long", "--", "sleep", "600", code=0)
    host.write("jobs/one.yml", job("one"))
    return host


@pytest.mark.parametrize("remove", [False, True])
def test_watch_leaves_or_takes_away_tasks_of_a_removed_file(waiting, wait_until, remove):
    with a_watcher(waiting, wait_until, *(["--remove-missing"] if remove else [])) as watching:
        watching.until_status("q-one/one", "QUE")
        (waiting.jobs / "one.yml").unlink()
        watching.until_said(
            "jobs/one.yml: gone; " + ("taken away: q-one/one" if remove else "its tasks are left")
        )
        assert waiting.status("q-one/one") == ("" if remove else "QUE")


def test_watch_survives_the_directory_being_replaced_and_takes_nothing_away(waiting, wait_until):
    with a_watcher(waiting, wait_until, "--remove-missing") as watching:
        watching.until_status("q-one/one", "QUE")
        waiting.jobs.rename(waiting.root / "old")
        watching.until_said("jobs: cannot be read now, its files are left")
        waiting.jobs.mkdir()
        (waiting.root / "old/one.yml").rename(waiting.jobs / "one.yml")
        waiting.write("jobs/new.yml", job("new"))
        watching.until_status("q-new/new")
        watching.until_said("jobs: can be read again")
        assert waiting.json("show", "one")["status"] == "QUE"
        assert "taken away" not in watching.said


def test_watch_follows_a_link_to_another_directory_and_takes_away_what_is_gone(
    waiting, wait_until
):
    waiting.jobs.rename(waiting.root / "release1")
    waiting.jobs.symlink_to("release1")
    with a_watcher(waiting, wait_until, "--remove-missing") as watching:
        watching.until_status("q-one/one", "QUE")
        waiting.write("release2/two.yml", job("two"))
        (waiting.root / "link").symlink_to("release2")
        (waiting.root / "link").rename(waiting.jobs)
        watching.until_status("q-two/two")
        watching.until_said("taken away: q-one/one")


def test_watch_once_applies_and_leaves(host):
    host.write("jobs/one.yml", job("one"))
    host.ltspec("watch", "--once", "jobs/", code=0)
    host.write("jobs/bad.yml", "id: [")
    host.ltspec("watch", "--once", "jobs/", code=1)


def test_watch_of_no_directory_says_so(host):
    assert "there is no directory" in host.ltspec("watch", "none/", code=1).stderr
