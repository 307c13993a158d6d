"""How mgrctl's line is read: C28-C35, C45-C48."""

import sys

import pytest

from ltspec.mgrctl.request import BadUsage, parse

NASTY = "it's \"bad\": a=b & c=d %20 + \t\n line 2 ☃ $HOME `id` \\"


def read(*arguments, **environ):
    return parse(arguments, environ)


def test_c28_without_arguments_usage_and_exit_code_1(host):
    done = host.mgrctl(code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("usage: mgrctl [-m MANAGER]")


def test_c28_manager_without_a_function_is_usage(host):
    assert "usage:" in host.mgrctl("-m", "billmgr", code=1).stderr


def test_c28_unknown_option_is_usage(host):
    assert "unknown option: -x" in host.mgrctl("-x", "longtask", code=1).stderr


@pytest.mark.parametrize("line", [
    ["-m", "M", "-o", "xml", "longtask"],
    ["-o", "xml", "-m", "M", "longtask"],
    ["-m", "M", "longtask", "-o", "xml"],
    ["-m", "M", "longtask", "out=xml"],
    ["longtask", "out=xml", "-m", "M"],
    ["-mM", "-oxml", "longtask"],
    ["-m", "M", "longtask&out=xml"],
    ["-m", "M", "out=xml&func=longtask"],
])
def test_c29_order_of_options_does_not_matter(line):
    request = read(*line)
    assert (request.function, request.manager, request.format) == ("longtask", "M", "xml")


def test_c29_forms_give_the_same_document(filled):
    filled.task("a", "q", "x", manager="M")
    documents = {filled.mgrctl(*line, code=0).stdout for line in (
        ["-m", "M", "-o", "xml", "longtask"],
        ["-o", "xml", "-m", "M", "longtask"],
        ["-m", "M", "longtask", "-o", "xml"],
        ["-m", "M", "longtask", "out=xml"],
    )}
    assert len(documents) == 1
    assert "<queue>q</queue>" in documents.pop()


@pytest.mark.parametrize("form", ["text", "xml", "devel", "json", "sjson", "bjson"])
def test_c30_each_format_is_known(filled, form):
    filled.task("a", "q")
    assert filled.elid("q/a") in filled.mgrctl("-o", form, "longtask", code=0).stdout


def test_c30_default_format_is_text(filled):
    filled.task("a", "q")
    answers = {filled.mgrctl(*line, code=0).stdout for line in (
        ["longtask"], ["-o", "text", "longtask"])}
    assert len(answers) == 1


def test_c30_another_format_is_an_error(filled):
    done = filled.mgrctl("-o", "yaml", "longtask", code=1)
    assert done.stdout == "ERROR value(out)\n"


@pytest.mark.parametrize("value", [
    "two words", "a=b=c", "100%20", "a+b", "line 1\nline 2", "", "  ", "-o", NASTY,
])
def test_c31_value_is_everything_after_the_first_equals_sign(value):
    assert read("longtask.finish", "elid=P", f"errmsg={value}").value("errmsg") == value


def test_c31_value_reaches_the_catalogue_raw(filled):
    key = filled.running("a")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=err", f"errmsg={NASTY}",
                  code=0)
    assert filled.store.row("SELECT finish_msg FROM attempt WHERE task = ?", (key,))[0] == NASTY


def test_c32_two_elements_joined_by_ampersands_work(filled):
    key = filled.running("a")
    filled.mgrctl("-m", "ltspec", f"longtask.finish&elid={filled.elid('a')}",
                  "status=err&errmsg=no disk", code=0)
    assert filled.status(key) == "err"
    assert filled.store.row("SELECT finish_msg FROM attempt WHERE task = ?", (key,))[0] == "no disk"


def test_c32_path_with_escape_characters_is_found_raw_too(filled):
    key = filled.running("a+b")
    filled.mgrctl(f"longtask.finish&elid={filled.elid('a+b')}", "status=ok", code=0)
    assert filled.status(key) == "ok"


def test_c33_one_joined_element_is_url_decoded(filled):
    key = filled.running("a")
    elid = filled.elid("a").replace("/", "%2F")
    filled.mgrctl(f"longtask.finish&elid={elid}&status=err&errmsg=50%25+full%3A+a%26b", code=0)
    message = filled.store.row("SELECT finish_msg FROM attempt WHERE task = ?", (key,))[0]
    assert message == "50% full: a&b"


def test_c33_the_query_string_form_of_the_panels_own_library_works(filled):
    key = filled.running("a")
    filled.mgrctl(f"out=xml&func=longtask.finish&elid={filled.elid('a')}&status=ERR", code=0)
    assert filled.status(key) == "err"


def test_c34_ampersand_in_a_plain_value_stays():
    request = read("longtask.finish", "elid=P", "status=err", "errmsg=a&b")
    assert request.value("errmsg") == "a&b"


@pytest.mark.parametrize("text", [
    "http://x/?a=1&b=2", "x&elid=Q", "x&status=ok", "x&func=longtask.delete", "x&out=xml",
    "x&errmsg=y",
])
def test_c34_plain_value_is_cut_only_before_a_known_name_that_is_not_given(text):
    request = read("longtask.finish", "elid=P", "status=err", f"errmsg={text}")
    assert request.value("errmsg") == text
    assert request.value("status") == "err"
    assert request.function == "longtask.finish"
    assert request.format == "text"


def test_c35_option_e_takes_the_value_from_the_environment_anywhere():
    for line in (
        ["-e", "errmsg=$TEXT", "longtask.finish", "status=err"],
        ["longtask.finish", "-e", "errmsg=$TEXT", "status=err"],
        ["longtask.finish", "status=err", "-e", "errmsg=${TEXT}"],
    ):
        request = read(*line, TEXT=NASTY)
        assert request.value("errmsg") == NASTY
        assert request.value("status") == "err"


def test_c35_variable_that_is_not_set_is_an_empty_value():
    assert read("longtask.finish", "-e", "elid=$NONE").value("elid") == ""


def test_c35_value_from_the_environment_is_not_cut():
    assert read("longtask.finish", "-e", "errmsg=$T", T="a&status=ok").value("status") == ""


def test_option_without_its_value_is_usage():
    with pytest.raises(BadUsage, match="-m wants a value"):
        read("longtask", "-m")


def test_c45_index_lists_the_functions_sorted_with_the_name_first(host):
    lines = host.mgrctl("-m", "billmgr", "-i", code=0).stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert {"longtask", "longtask.delete", "longtask.edit", "longtask.filter"} <= set(names)
    assert "longtask.finish" not in names


def test_c45_finish_works_unlisted(filled):
    filled.running("a")
    done = filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=ok", code=0)
    assert done.stdout == "OK\n"


def test_c46_works_as_sbin_mgrctl_from_the_base_directory(filled):
    filled.task("a", "q", manager="ispmgr")
    sbin = filled.host.root / "base" / "sbin"
    sbin.mkdir(parents=True)
    script = sbin / "mgrctl"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom ltspec.mgrctl.command import main\n"
        "sys.exit(main())\n"
    )
    script.chmod(0o755)
    done = filled.host.run(["sbin/mgrctl", "-m", "ispmgr", "-o", "text", "longtask"], code=0,
                           cwd=sbin.parent)
    assert done.stdout.startswith(f"pidfile={filled.elid('q/a', 'ispmgr')} ")


@pytest.mark.parametrize(
    "extra", ["auth=123", "su=root", "lang=ru", "sok=ok", "clicked_button=ok", "nonsense"]
)
def test_c46_unknown_parameters_are_ignored(filled, extra):
    filled.task("a", "q")
    assert filled.mgrctl("longtask", extra, code=0).stdout == filled.mgrctl("longtask").stdout


@pytest.mark.parametrize("line", [["-R"], ["-m", "billmgr", "-R"], ["exit"], ["-m", "M", "exit"]])
def test_c47_restart_and_exit_return_0(host, line):
    host.mgrctl(*line, code=0)
    assert not host.run_dir.exists()


def test_c48_without_manager_the_default_one(filled):
    filled.task("a", "q")
    filled.task("b", "q", manager="billmgr")
    assert filled.mgrctl("longtask").stdout == filled.mgrctl("-m", "ltspec", "longtask").stdout
    assert filled.elid("q/b", "billmgr") in filled.mgrctl("-m", "billmgr", "longtask").stdout


def test_c48_default_manager_comes_from_the_configuration(filled):
    filled.task("b", "q", manager="billmgr")
    filled.host.config("manager: billmgr\n")
    assert filled.elid("q/b", "billmgr") in filled.mgrctl("longtask").stdout


def test_c48_mgr_prints_one_line_a_manager(filled):
    filled.task("b", "q", manager="billmgr")
    assert filled.mgrctl("mgr", code=0).stdout == "name=billmgr\nname=ltspec\n"


def test_c48_mgr_without_a_catalogue_prints_the_default(host):
    assert host.mgrctl("mgr", code=0).stdout == "name=ltspec\n"


def test_unknown_function_is_an_error(filled):
    assert filled.mgrctl("webdomain", code=1).stdout == "ERROR missed(func)\n"


def test_report_that_comes_back_to_us_is_refused(filled):
    key = filled.running("a")
    done = filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=ok",
                         env={"LTSPEC_REPORTING": "1"}, code=1)
    assert done.stdout == "ERROR value(mgrctl)\n"
    assert filled.status(key) == "run"
