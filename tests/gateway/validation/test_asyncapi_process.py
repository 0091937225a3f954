"""The AsyncAPI descriptions are ones, as the parser of those who made the standard says."""

from pathlib import Path

import pytest
from kit.asyncapi_parser import parsed
from kit.every_interface import every_interface

import config
from gateway.validation.specification import files


@pytest.mark.urs("URS-VAL-01")
def test_every_asyncapi_description_is_one_and_a_broken_one_is_found(tmp_path: Path) -> None:
    line = config.load(every_interface(tmp_path / "line"))
    texts = {name: text for name, text in files(line).items() if name.startswith("asyncapi-")}
    assert sorted(texts) == ["asyncapi-uplink-messages.json", "asyncapi-uplink-topics.json"]
    (tmp_path / "broken.json").write_text('{"asyncapi": "3.0.0", "info": {"title": "no version"}, "channels": {}}')
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    said = parsed(*(tmp_path / name for name in (*texts, "broken.json")))
    assert said.pop(str(tmp_path / "broken.json"))["understood"] is False
    assert {name: told["errors"] for name, told in said.items()} == {str(tmp_path / name): [] for name in texts}
    assert {told["version"] for told in said.values()} == {"3.0.0"}
