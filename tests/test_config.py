"""The configuration tree: what it refuses and how it says so, overrides, YAML in and out."""

import warnings
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nmt.config import AlignerConfig, DecodingConfig, RunConfig, describe_keys, dump_config, load_config, parse_config
from nmt.config.model import ModelConfig, Section
from nmt.errors import UserError
from nmt.search.options import SearchOptions
from nmt.untrusted import DECODING, check_metadata

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


MINIMAL = "checkpoint: somewhere\ntraining: {max_steps: 10}\n"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.lerning_rate=1", ["training.lerning_rate", "unknown key", "learning_rate"]),
        ("modle.width=8", ["modle", "unknown key", "model"]),
        ("model.width=wide", ["model.width", "integer", "'wide'"]),
        ("model.width=192.5", ["model.width", "integer"]),
        ("model.width='192'", ["model.width", "integer"]),
        ("model.tied_embeddings=1", ["model.tied_embeddings", "bool"]),
        ("training.seed=true", ["training.seed", "integer"]),
        ("model.heads=5", ["heads (5) must divide width (192)"]),
        ("model.heads=0", ["model.heads", "greater than or equal to 1"]),
        ("model.norm=sandwich", ["model.norm", "'pre' or 'post'"]),
        ("model.dropout=1.0", ["model.dropout", "less than 1"]),
        ("training.max_steps=null", ["training", "no budget", "max_minutes"]),
        ("training.learning_rate=-1", ["training.learning_rate", "greater than 0"]),
        ("training.learning_rate=.nan", ["training.learning_rate", "finite"]),
        ("training.max_minutes=.inf", ["training.max_minutes", "finite"]),
        ("training.seed=-1", ["training.seed", "greater than or equal to 0"]),
        ("alignment.layer=3", ["alignment.layer (3) must be below model.decoder_layers (3)"]),
        ("alignment.layer=-1", ["alignment.layer", "greater than or equal to 0"]),
        ("subwords.vocabulary_size=100", ["subwords.vocabulary_size", "270"]),
        ("model.attention=additive", ["model: attention additive is not for type transformer", "full, local, linear"]),
        ("model.attention=nearby", ["model.attention", "'local'"]),
        ("model.window=3", ["model: window is for attention local"]),
        ("model.window=0", ["model.window", "greater than or equal to 1"]),
        ("model.key_width=0", ["model.key_width", "greater than or equal to 1"]),
        ("model.positions=rotary", ["model.positions", "'learned'"]),
        ("model.type=perceptron", ["model.type", "'rnnsearch'"]),
        ("model={type: rnnsearch, attention: full}", ["attention full is not for type rnnsearch", "additive, dot"]),
        ("model={type: rnnsearch, heads: 4}", ["model: type rnnsearch", "leave heads out"]),
        ("model={type: rnnsearch, positions: learned}", ["leave positions out"]),
        ("model={type: rnnencdec, feed_forward: 64}", ["model: type rnnencdec", "leave feed_forward out"]),
        ("model={type: rnnencdec, attention: dot}", ["attention dot is not for type rnnencdec", "leave attention out"]),
        ("data=5", ["data"]),
        ("training={max_steps: 1, optimizer: adam, weight_decay: 0.1}", ["weight_decay needs optimizer adamw"]),
        ("training={max_steps: 1, r_drop: -1}", ["training.r_drop", "greater than or equal to 0"]),
        ("data.corpus=twitter", ["data.corpus", "tatoeba"]),
    ],
)
def test_impossible_values_are_refused_with_their_path(written, override, expected):
    path = written(MINIMAL)
    with pytest.raises(UserError) as error:
        load_config(path, [override])
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    for part in expected:
        assert part in message


def test_the_type_of_network_fills_in_its_own_defaults(written):
    path = written(MINIMAL)
    transformer = load_config(path).model
    assert (transformer.type, transformer.attention, transformer.window) == ("transformer", "full", None)
    assert load_config(path, ["model.attention=local"]).model.window == 16
    recurrent = load_config(path, ["model.type=rnnsearch"])
    assert recurrent.model.attention == "additive" and recurrent.alignment.head
    assert (recurrent.model.encoder_layers, recurrent.model.decoder_layers, recurrent.model.heads) == (1, 1, 1)
    without = load_config(path, ["model.type=rnnencdec"])
    assert without.model.attention is None and not without.alignment.head
    for config in (recurrent, without):
        assert parse_config(yaml.safe_load(dump_config(config)), "a copy") == config


@pytest.mark.parametrize("alignment", ["alignment.head=true", "alignment.layer=0"])
def test_a_network_without_attention_is_promised_no_alignment(written, alignment):
    with pytest.raises(UserError, match="rnnencdec has no alignment; leave alignment.head and alignment.layer out"):
        load_config(written(MINIMAL), ["model.type=rnnencdec", alignment])


@pytest.mark.parametrize("override", ["training.seed", "=3", "checkpoint.name=3", "training.seed=[1"])
def test_malformed_overrides_are_refused(written, override):
    with pytest.raises(UserError, match="override") as error:
        load_config(written(MINIMAL), [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [1", "a: b: c", "\x00", "1: 2\n" + MINIMAL])
def test_files_that_hold_no_tree_are_refused_in_one_line(written, text):
    with pytest.raises(UserError) as error:
        load_config(written(text))
    assert "run.yaml" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_binary_garbage_and_a_missing_key_are_refused(tmp_path, written):
    with pytest.raises(UserError, match="cannot read"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot read"):
        load_config(tmp_path)
    garbage = tmp_path / "garbage.yaml"
    garbage.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not YAML"):
        load_config(garbage)
    with pytest.raises(UserError, match="checkpoint: this key is required"):
        load_config(written("training: {max_steps: 1}\n"))


@pytest.mark.parametrize(("text", "value"), [("2e-3", 0.002), ("1E+2", 100.0), ("3.e-4", 0.0003), ("5", 5.0)])
def test_numbers_are_read_as_numbers(written, text, value):
    config = load_config(written(MINIMAL), [f"alignment.minutes={text}"])
    assert config.alignment.minutes == value
    config = load_config(written(MINIMAL + f"alignment: {{minutes: {text}}}\n"))
    assert config.alignment.minutes == value


@pytest.mark.parametrize(("text", "steps"), [("010", 10), ("+7", 7), ("1:30", None), ("0x10", None), ("1_0", None)])
def test_whole_numbers_are_decimal(written, text, steps):
    if steps is None:
        with pytest.raises(UserError, match="training.max_steps"):
            load_config(written(MINIMAL), [f"training.max_steps={text}"])
    else:
        assert load_config(written(MINIMAL), [f"training.max_steps={text}"]).training.max_steps == steps


@pytest.mark.parametrize("text", ["training: {max_steps: 2}\n", "data:\n  source: en\n  source: de\n"])
def test_a_key_that_is_there_twice_is_refused_with_its_line(written, text):
    with pytest.raises(UserError, match=r"line \d+: (training|source) is there twice"):
        load_config(written(MINIMAL + text))


@pytest.mark.parametrize(("text", "read"), [("no", "no"), ("on", "on"), ("true", True), ("False", False)])
def test_norwegian_is_a_language_and_false_is_not(written, text, read):
    """YAML 1.2's booleans; and what is written down is read as it was by YAML 1.1 too."""
    if isinstance(read, bool):
        assert load_config(written(MINIMAL), [f"alignment.head={text}"]).alignment.head is read
        return
    config = load_config(written(MINIMAL), [f"data.target={text}"])
    assert config.data.target == read
    assert yaml.safe_load(dump_config(config))["data"]["target"] == read


def test_overrides_win_over_the_file_and_make_sections(written):
    config = load_config(
        written(MINIMAL), ["training.max_steps=7", "model.heads=6", "data.train=[a.en, a.de]", "checkpoint=x"]
    )
    assert (config.training.max_steps, config.model.heads, config.data.train, config.checkpoint) == (
        7,
        6,
        ["a.en", "a.de"],
        "x",
    )
    assert config.model.width == ModelConfig().width


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["2e-3", "null", "yes", "1", "010", "1:30", "~", ""]
)
trees = st.fixed_dictionaries(
    {
        "checkpoint": texts.filter(bool),
        "training": st.fixed_dictionaries(
            {"max_steps": st.integers(1, 10**9)},
            optional={
                "learning_rate": st.floats(1e-12, 1e6),
                "seed": st.integers(0, 2**63 - 1),
                "max_minutes": st.none() | st.floats(0.01, 1e9),
                "beta1": st.floats(0, 1, exclude_max=True),
            },
        ),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "name": texts,
                "train": st.lists(texts, max_size=3) | texts,
                "source_column": st.integers(0, 9) | texts,
            },
        ),
    }
)


@settings(max_examples=50)
@given(tree=trees)
def test_writing_and_reading_gives_the_same_configuration(tmp_path_factory, tree):
    config = parse_config(tree, "a test")
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_whole(path, tmp_path):
    config = load_config(path)
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(config), encoding="utf-8")
    assert load_config(again) == config


def test_every_key_is_documented():
    rows = describe_keys()
    assert all(meaning.strip() for _, _, meaning in rows)

    def leaves(section: type[Section]) -> int:
        kinds = [(field.annotation, *get_args(field.annotation)) for field in section.model_fields.values()]
        inner = [[kind for kind in some if isinstance(kind, type) and issubclass(kind, Section)] for some in kinds]
        return sum(leaves(sections[0]) if sections else 1 for sections in inner)

    assert len(rows) == len({key for key, _, _ in rows}) == leaves(RunConfig)
    described = {key: default for key, default, _ in rows}
    assert described["training.learning_rate"] == "0.002" and described["checkpoint"] == "required"


def test_old_names_of_keys_work_with_a_warning(written):
    old = written(MINIMAL.replace("}", ", consistency: 0.5}"))
    with pytest.warns(FutureWarning, match="training.consistency is now training.r_drop") as warned:
        assert load_config(old).training.r_drop == 0.5
    assert len(warned) == 1
    with pytest.warns(FutureWarning):  # an override wins, whichever name it uses
        assert load_config(old, ["training.r_drop=1"]).training.r_drop == 1
    with pytest.warns(FutureWarning, match="override 'training.consistency=2'"):
        assert load_config(written(MINIMAL), ["training.consistency=2"]).training.r_drop == 2
    with warnings.catch_warnings(action="error"):
        old = written(MINIMAL.replace("}", ", consistency: 0.5}"))
        assert load_config(old, warn=False).training.r_drop == 0.5
    both = written(MINIMAL.replace("}", ", consistency: 0.5, r_drop: 1}"))
    with pytest.raises(UserError, match="old name of training.r_drop"):
        load_config(both)


def test_links_of_an_old_checkpoints_training_section_are_those_of_the_head(written):
    with warnings.catch_warnings(action="error"):
        assert load_config(written(MINIMAL.replace("}", ", guided_alignment: null}"))).alignment.links is None
    with pytest.warns(FutureWarning, match="training.guided_alignment is now alignment.links"):
        assert load_config(written(MINIMAL.replace("}", ", guided_alignment: a.txt}"))).alignment.links == "a.txt"


def test_more_minutes_show_the_head_more_words_and_the_fewest_are_enough():
    recipes = [AlignerConfig.for_minutes(minutes) for minutes in (0.01, 0.4, 1, 2.5, 4)]
    words = [recipe.student_steps * recipe.batch_words for recipe in recipes]
    assert words == sorted(set(words)) and recipes[0].student_steps >= 100


def test_the_heads_recipe_comes_from_its_section_or_from_the_minutes(written):
    path = written(MINIMAL)
    assert load_config(path).head_recipe == AlignerConfig()
    assert load_config(path, ["alignment.minutes=2"]).head_recipe == AlignerConfig.for_minutes(2)
    assert load_config(path, ["training.max_minutes=8"]).head_recipe == AlignerConfig.for_minutes(2)
    assert load_config(path, ["alignment.recipe.width=32"]).head_recipe == AlignerConfig(width=32)
    with pytest.raises(
        UserError, match="alignment.recipe.wdith: unknown key; did you mean width\\? known here: width, hidden"
    ):
        load_config(path, ["alignment.recipe.wdith=32"])
    with pytest.raises(UserError, match="exclude each other"):
        load_config(path, ["alignment.recipe.width=32", "alignment.minutes=2"])


def test_keys_that_go_together_only(written):
    path = written(MINIMAL)
    with pytest.raises(UserError, match="r_drop needs model.dropout of 1/256"):
        load_config(path, ["training.r_drop=1", "model.dropout=0.001"])
    with pytest.raises(UserError, match="set alignment.head"):
        load_config(path, ["alignment.links=links.txt", "alignment.head=false"])


@given(
    st.sampled_from(["beam", "length_penalty", "min_length", "max_length_factor", "max_length_extra"]),
    st.one_of(st.integers(-1, 10**6), st.floats(-1, 1e6)),
)
def test_what_a_configuration_may_ask_of_decoding_a_checkpoint_may_say(key, value):
    try:
        decoding = DecodingConfig.model_validate({key: value})
    except ValidationError:
        return
    told = {"source": "en", "target": "es", "max_length": 256, "alignment_layer": None, "files": {}}
    assert check_metadata({**told, "decoding": decoding.model_dump()}) is None
    assert SearchOptions(**{key: getattr(decoding, key)}) == SearchOptions(**decoding.model_dump())


def test_decoding_has_the_defaults_and_bounds_of_the_search():
    assert SearchOptions(**DecodingConfig().model_dump()) == SearchOptions()
    for key, (_, least, most) in DECODING.items():
        for allowed in (least, most):
            assert getattr(DecodingConfig.model_validate({key: allowed}), key) == allowed
            SearchOptions(**{key: allowed})
        for refused in (least - 1, most + 1):
            with pytest.raises(ValidationError):
                DecodingConfig.model_validate({key: refused})
            with pytest.raises(UserError):
                SearchOptions(**{key: refused})


WHOLE_NUMBERS = [
    f"{prefix}.{name}"
    for prefix, section in RunConfig.model_fields.items()
    if isinstance(section.annotation, type) and issubclass(section.annotation, Section)
    for name, field in section.annotation.model_fields.items()
    if int in (kinds := {field.annotation, *get_args(field.annotation)}) and str not in kinds  # a column
]


@pytest.mark.parametrize("override", ["training.threads=100000", *(f"{key}=1{'0' * 30}" for key in WHOLE_NUMBERS)])
def test_absurd_numbers_are_refused_in_one_line(tmp_path, override):
    path = tmp_path / "run.yaml"
    path.write_text("checkpoint: a\ntraining: {max_steps: 1}\n")
    with pytest.raises(UserError, match=override.partition("=")[0]) as refused:
        load_config(path, [override])
    assert "\n" not in str(refused.value)
