"""What `render` shows of a task: every field of the format, in words and as JSON."""

from pathlib import Path

from ltspec import config, spec
from ltspec.model import Need
from ltspec.output import rendered
from ltspec.spec import schema

EVERY_FIELD = Path(__file__).resolve().parents[1] / "examples/valid/every-field.yml"
# Fields that `render` resolves: argv stands for them.
RESOLVED = {"command", "parameters", "parameter_style", "loop", "when"}


def tasks():
    given = spec.parse_extra_vars(["account=u1"])
    return spec.load([str(EVERY_FIELD)], config=config.Config(), for_host=False,
                     extra_vars=given).tasks


def test_the_json_form_has_every_field_of_a_task():
    first, second = (rendered.record(task, {}, "/run/x") for task in tasks())
    fields = schema.published("job")["$defs"]["task"]["properties"]
    assert fields.keys() - first.keys() == RESOLVED
    assert first["on_finish"]["always"] == ["/bin/true"]
    assert first["log"] == {"max_size": 64 * 1024**2, "on_full": "stop"}
    assert (second["while_active"], second["no_log"], second["on_finish"]) == ("refuse", False, {})


def test_the_form_for_a_person_tells_what_differs_from_the_defaults(capsys):
    first, second = tasks()
    rendered.show(first, {}, "/run/x")
    shown = capsys.readouterr().out
    for words in ("umask    0027", "nice     10", "open_files 4096", "priority 10",
                  "starts   10m00s after", "kill     INT and 30s, TERM and 5.0s, KILL",
                  "retries  up to 5, delay 30s, backoff 2, max_delay 10m00s, jitter 0.1, on exit",
                  "OK       exit code 0, 1", "rerun    always", "running  another definition",
                  "finish   failure: /usr/local/bin/notify failed u1", "stdin    <not shown"):
        assert words in shown
    assert "yes" not in shown
    rendered.show(second._replace(needs=(Need("first", "q", "any"),)), {}, "/run/x")
    assert "needs    q/first (want any)" in capsys.readouterr().out
