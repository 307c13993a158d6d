"""From files to tasks: precedence, defaults, loops, tags, needs, reports, paths, identity."""
# ruff: noqa: E501 - the tables of cases are read row by row

import os

import pytest

from ltspec.errors import UsageError
from ltspec.spec import host, parse_extra_vars


def test_e_wins_over_a_file_over_vars_over_a_default(task, tmp_path):
    text = 'id: "{{ a }}{{ b }}{{ c }}{{ d }}"\ncommand: x\nvars: { b: V, c: V, d: V }\n'
    text += "inputs: { a: { default: D }, b: { default: D }, c: { default: D }, d: {} }\n"
    (tmp_path / "more.yml").write_text("{ c: F, d: F }")
    found = task(text, e=["d=E", f"@{tmp_path}/more.yml"])
    assert found.id == "DVFE"


def test_a_value_of_e_is_data_and_never_rendered(task):
    found = task("id: one\ncommand: x\ninputs: { a: { default: b, pattern: '' } }\n"
                 "parameters: ['{{ a }}']\n", e=["a={{ 1 + 1 }} $HOME"])
    assert found.parameters == ("{{ 1 + 1 }} $HOME",)


@pytest.mark.parametrize("argument", ["x", "=x", "a-b=c", "@/nowhere.yml"])
def test_a_wrong_e_is_a_wrong_usage(argument):
    with pytest.raises(UsageError):
        parse_extra_vars([argument])


def test_defaults_lie_under_a_task_and_env_is_merged(task):
    found = task("""\
        defaults: { queue: q, timeout: 5s, env: { A: a, B: b }, command: x }
        tasks: [{ id: one, timeout: 9s, env: { B: c }, script: "true" }]
        """, settings={"defaults": {"nice": 7, "env": {"C": "config", "A": "config"}}})
    assert (found.queue, found.timeout, found.nice) == ("q", 9.0, 7)
    assert found.env == {"C": "config", "A": "a", "B": "c"}
    assert found.script == "true"


def test_nothing_that_is_rendered_is_split(task):
    found = task("id: one\nvars: { v: 'a b; c', l: [x, y z] }\ncommand: echo {{ v }} '{{ v }}!'\n"
                 "parameters: ['{{ l }}', { k: '{{ l }}' }]\n")
    assert (*found.command, *found.parameters) == (
        "echo", "a b; c", "a b; c!", "x", "y z", "-k", "x", "-k", "y z")


def test_a_false_when_declares_nothing_and_is_told(load):
    loaded = load("tasks: [{ id: 'a-{{ item }}', loop: [1, 2], command: x, when: item > 1 }]")
    assert [task.id for task in loaded.tasks] == ["a-2"]
    assert [skipped.id for skipped in loaded.skipped] == ["a-1"]


def test_tags_choose(load):
    text = "tasks: [{ id: a, command: x, tags: [t] }, { id: b, command: x, tags: u }]"
    assert [task.id for task in load(text, tags=["t"]).tasks] == ["a"]
    assert [task.id for task in load(text, skip_tags=["t"]).tasks] == ["b"]


def test_needs_are_found_in_the_same_file_first_then_where_they_are_unique(load):
    loaded = load("tasks: [{ id: a, command: x, queue: q }, { id: b, command: x, needs: [a, c] }]",
                  files={"two.yml": "tasks: [{ id: a, command: x }, { id: c, command: x, queue: r }]"})
    assert loaded.problems == ()
    needs = next(task.needs for task in loaded.tasks if task.id == "b")
    assert [(need.queue, need.id) for need in needs] == [("q", "a"), ("r", "c")]


def test_a_needed_task_that_is_in_no_file_is_left_to_the_catalogue_at_apply(load):
    text = "id: one\ncommand: x\nneeds: [elsewhere]\n"
    assert load(text, for_host=True).valid
    assert not load(text).valid


def test_a_required_input_is_asked_for_only_on_the_host(problems):
    text = "id: '{{ a }}'\ncommand: x\ninputs: { a: { description: The account } }\n"
    assert problems(text) == []
    assert problems(text, for_host=True) == [
        "LT307 3:11 the input `a` needs a value (The account)"]


def test_env_and_file_are_real_only_on_the_host(task, monkeypatch, load):
    monkeypatch.setenv("COLOUR", "red")
    text = "id: \"{{ env('COLOUR') }}-{{ file('name.txt') }}\"\ncommand: x\n"
    assert task(text, for_host=True, files={"name.txt": "n\n"}).id == "red-n"
    assert load(text).unknown == 1


def test_validate_reads_a_file_beside_the_spec_and_none_elsewhere(task, load, tmp_path):
    text = "id: one\ncommand: x\nparameters: [\"a{{ file(path) }}\"]\nvars: { path: n.txt }\n"
    assert task(text, files={"n.txt": "b\n"}).parameters == ("ab",)
    outside = tmp_path.parent / f"{tmp_path.name}-outside.txt"
    outside.write_text("b")
    (tmp_path / "link.txt").symlink_to(outside)
    for name in ("link.txt", str(outside), "not-there.txt"):
        (note,) = load(text.replace("n.txt", name)).unchecked
        assert note.message == "not checked: parameters (no value for file())"


@pytest.mark.parametrize(("line", "message"), [
    ("cwd: \"{{ env('X') }}\"", "not checked: cwd (no value for env())"),
    ("when: a == 'x'", "not checked: when (no value for a)"),
    ("env: { A: '{{ b }}' }", "not checked: env (no value for a)"),
    ("parameters: ['{{ item }}']\nloop: a", "not checked: loop, parameters (no value for a)"),
    ("timeout: '{{ a }}'\nqueue: '{{ a }}'", "not checked: timeout, queue (no value for a)"),
])
def test_what_is_not_checked_is_named_with_the_values_that_it_needs(load, line, message):
    head = "id: one\ncommand: x\ninputs: { a: {} }\nvars: { b: '{{ a }}' }\n"
    assert [note.message for note in load(head + line + "\n").unchecked] == [message]


@pytest.mark.parametrize(("identity", "excused"), [
    ("id: 'pakk-{{ d }}'\nqueue: packing", False), ("id: 'pak{{ d }}'\nqueue: other", False),
    ("id: '{{ d }}'\nqueue: packing", True), ("id: 'p{{ d }}c'\nqueue: '{{ d }}ing'", True),
    ("id: pakc\nqueue: '{{ d }}'", True), ("id: pakc\nqueue: 'q{{ d }}'", False),
])
def test_an_unknown_task_excuses_a_need_only_where_its_name_could_match(problems, identity, excused):
    other = f"inputs: {{ d: {{}} }}\ncommand: x\n{identity}\n"
    found = problems("id: one\ncommand: x\nneeds: packing/pakc\n", files={"other.yml": other})
    assert found == ([] if excused else [
        "LT402 3:8 needs `packing/pakc`, which none of the files declares"])


def test_relative_paths_begin_at_the_spec_or_at_base_dir(task, tmp_path):
    text = "id: one\ncommand: x\ncwd: a\nstdin: { file: b }\nenv_file: c\n"
    found = task(text)
    assert (found.cwd, found.base_dir) == (f"{tmp_path}/a", str(tmp_path))
    found = task(text, settings={"base_dir": "/base"})
    assert (found.cwd, found.stdin, found.env_files) == (
        "/base/a", {"file": "/base/b"}, ("/base/c",))


def test_the_same_file_in_another_place_is_the_same_definition(task, tmp_path, monkeypatch):
    text = "id: one\ncommand: ./x\ncwd: a\nstdin: { file: b }\n"
    assert task(text).hash == task(text, settings={"base_dir": "/elsewhere"}).hash


@pytest.mark.parametrize(("change", "same"), [
    ("timeout: 5s", True), ("tags: [t]", True), ("priority: 5", True), ("name: n", True),
    ("env: { A: b }", False), ("umask: '0077'", False), ("cwd: /", False), ("nice: 5", False),
    ("parameters: [a]", False), ("stdin: a", False), ("limits: { open_files: 99 }", False),
])
def test_only_what_the_process_sees_is_in_the_hash(task, change, same):
    text = "id: one\ncommand: x\n"
    assert (task(text).hash == task(text + change + "\n").hash) == same


def test_the_pid_files_name_follows_the_setting(task):
    found = task("id: one\ncommand: sbin/problem.py\n", settings={"pidfile_name": "binary.id"})
    assert found.pidfile_name == "problem.py.one"


def test_a_closed_set_of_queues_refuses_others(problems):
    found = problems("id: one\ncommand: x\nqueue: bakups\n",
                     settings={"closed_queues": True, "queues": {"backups": None}})
    assert found == ["LT405 3:8 the config has no queue `bakups`"]


def test_ten_thousand_turns_are_ten_thousand_tasks(load):
    loaded = load("id: t-{{ item }}\nloop: range(10000) | list\ncommand: x\n", for_host=True)
    assert len(loaded.tasks) == 10_000


def test_what_the_host_lacks_is_found_with_its_place(load):
    loaded = load("id: one\ncommand: no-such-program-here\nuser: nobody-here\ngroup: none-here\n"
                  "limits: { memory: 1GiB }\ncwd: /no/such/place\n", for_host=True)
    checked = host.check(loaded, lambda group, controllers: f"{group} has no {controllers}")
    found = {problem.code: problem.line for problem in checked}
    assert found.items() >= {"LT601": 3, "LT602": 4, "LT604": 5, "LT605": 2, "LT606": 6}.items()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run a task as another number")
@pytest.mark.parametrize(("fields", "codes"), [
    ("user: 0\ngroup: \"0\"", set()), ("user: 4294000000", {"LT601"}),
    ("group: '4294000000'", {"LT602"}),
])
def test_a_user_or_group_may_be_a_number_that_the_host_knows(load, fields, codes):
    loaded = load(f"id: one\ncommand: /bin/sh\n{fields}\n", for_host=True)
    assert {problem.code for problem in host.check(loaded, lambda *_: "")} == codes


def test_commands_of_secrets_and_on_finish_are_split_before_they_are_rendered(task):
    found = task("""
        id: one
        command: "true"
        vars: { x: "a 'b; c" }
        secrets: { A: { command: "pass show {{ x }}" } }
        on_finish: { always: "notify '{{ x }} d' {{ x }}" }
        """)
    assert found.secrets == {"A": {"command": ["pass", "show", "a 'b; c"]}}
    assert found.on_finish == (
        {"when": "always", "command": ["notify", "a 'b; c d", "a 'b; c"]},)


@pytest.mark.parametrize(("fields", "expected"), [
    ("needs: ['b-{{ #x }}']", ["LT301 3:12 not an expression: unexpected char '#' at 5"]),
    ("parameters: ['{{ no }}', '{{ 1 + }}', '{{ 1 / 0 }}']",
     ["LT302 3:18 `no` is not defined", "LT301 3:27 not an expression: unexpected '}}'",
      "LT303 3:39 the expression fails: division by zero"]),
    ("on_finish: { failure: \"echo 'a\" }",
     ["LT407 3:23 cannot be split into words: a quote is not closed"]),
    ("secrets: { A: { command: \"echo 'a\" } }",
     ["LT407 3:26 cannot be split into words: a quote is not closed"]),
    ("env_pass: '{{ none }}'",
     ["LT203 3:11 the rendered value must be a list, is nothing"]),
    ("defaults: { secrets: { A: x } }\nsecrets: {}",
     ["LT203 3:27 must be a mapping, is text"]),
    ("manager: [a]", ["LT203 3:10 must be text, is a list"]),
])
def test_a_field_that_is_wrong_as_written_is_told_once(problems, fields, expected):
    assert problems(f"id: one\ncommand: x\n{fields}\n") == expected
