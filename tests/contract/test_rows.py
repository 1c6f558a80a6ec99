"""``Row`` reads the text of a CSV into types; None stands for what may be missing and is."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from pydantic import BaseModel

from samza_py import ConfigError, Row


@dataclass
class Reading:
    """A row with one field that may be missing, one that may not, and one of text."""

    number: int
    late: int | None = None
    place: str = ""


def test_an_empty_text_is_none_where_the_field_admits_none() -> None:
    read = Row(Reading).decoder()
    assert read({"number": "1", "late": "", "place": ""}) == Reading(1, None, "")


def test_another_text_may_stand_for_what_is_missing() -> None:
    read = Row(Reading, missing="NA").decoder()
    assert read({"number": "1", "late": "NA", "place": "NA"}) == Reading(1, None, "NA")
    with pytest.raises(msgspec.ValidationError):
        read({"number": "1", "late": ""})


def test_what_may_not_be_missing_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="number"):
        Row(Reading, missing="NA").decoder()({"number": "NA"})


def test_the_row_itself_stays_as_it_came() -> None:
    row = {"number": "1", "late": "NA"}
    Row(Reading, missing="NA").decoder()(row)
    assert row == {"number": "1", "late": "NA"}


def test_a_pydantic_model_says_itself_what_is_missing() -> None:
    class Model(BaseModel):
        late: int | None

    with pytest.raises(ConfigError, match="validator"):
        Row(Model, missing="NA")
