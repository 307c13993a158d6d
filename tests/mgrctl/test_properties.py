"""What holds for any text: values stay raw, documents are well-formed, encodings are inverse."""

import json
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ltspec.mgrctl import answer
from ltspec.mgrctl.request import parse, url_decode
from ltspec.report import call

TEXT = st.text(st.characters(codec="utf-8"))
ANY = st.text()      # lone surrogates too: that is how bytes that are no UTF-8 come in


@given(TEXT)
def test_plain_value_comes_back_raw_whatever_stands_in_it(value):
    line = ["longtask.finish", "elid=P", "status=err", "errmsg=" + value]
    request = parse(line, {})
    assert request.value("errmsg") == value
    assert (request.function, request.value("elid"), request.value("status")) == (
        "longtask.finish", "P", "err")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_report_in_the_joined_form_is_what_our_own_mgrctl_reads(text):
    elements = call.arguments("m", "/run/q/a+b%20c", "err", text, "joined")
    request = parse(elements, {})
    assert (request.manager, request.function) == ("m", "longtask.finish")
    assert request.value("elid") == "/run/q/a+b%20c"
    assert request.value("errmsg") == text


@given(TEXT)
def test_url_encoding_is_undone_by_decoding(text):
    assert url_decode(call.url_encode(text)) == text


@given(ANY, ANY)
def test_every_document_is_well_formed_and_keeps_ordinary_text(key, value):
    table = answer.Table([[("pidfile", key), ("info", value)]])
    document = ET.fromstring(answer.write(table, "xml").encode("utf-8", "surrogateescape"))
    assert document.find("elem") is not None
    for form in ("json", "sjson", "bjson"):
        json.loads(answer.write(table, form))
    assert len(answer.write(table, "text").splitlines()) == 1
