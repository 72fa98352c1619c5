"""The export for Hugging Face's transformers: what is refused here, what is computed there (where it is installed)."""

import json

import pytest
import torch
from tiny import ENGLISH, SPANISH, tiny_config, write_tiny_checkpoint

from nmt.checkpoint import Checkpoint
from nmt.cli.export import main
from nmt.engines.huggingface import export_to_huggingface, not_for_huggingface, tokenizer
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.text.subwords import END, PADDING, START, Subwords

REFUSED = {
    "model.type rnnsearch": {"type": "rnnsearch"},
    "model.attention local": {"attention": "local"},
    "model.attention linear": {"attention": "linear"},
    "model.positions learned": {"positions": "learned"},
    "model.positions none": {"positions": "none"},
    "model.tied_embeddings False": {"tied_embeddings": False},
    "model.key_width 4": {"key_width": 4},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_architecture_fits_is_refused(name):
    assert not_for_huggingface(tiny_config(**REFUSED[name]).model) == name
    assert not_for_huggingface(tiny_config().model) is None


@pytest.fixture(scope="module", params=["pre", "post"])
def exported(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("huggingface")
    checkpoint = write_tiny_checkpoint(place / request.param, norm=request.param)
    main([str(checkpoint), "--format", "huggingface", "--output", str(place / "out")])
    return checkpoint, place / "out"


def test_the_directory_is_whole_and_another_is_not_overwritten(exported, tmp_path):
    checkpoint, out = exported
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((out / "config.json").read_text())["model_type"] in ("pegasus", "marian")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="is no export"):
        export_to_huggingface(Checkpoint(checkpoint), tmp_path)


def test_transformers_computes_the_same(exported):
    transformers = pytest.importorskip("transformers")
    checkpoint, out = exported
    model, told = transformers.AutoModelForSeq2SeqLM.from_pretrained(out, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    subwords = Subwords.load(checkpoint / "subwords.model")
    ours = TorchEngine.load(Checkpoint(checkpoint), subwords).model
    source = [subwords.encode(text).ids + [END] for text in ENGLISH[:4]]
    target = [[START, *subwords.target.encode(text).ids] for text in SPANISH[:4]]
    lengths = [len(ids) for ids in source]
    padded = torch.tensor([ids + [PADDING] * (max(lengths) - len(ids)) for ids in source])
    decoded = torch.tensor([ids + [PADDING] * (max(map(len, target)) - len(ids)) for ids in target])
    with torch.inference_mode():
        wanted = ours.logits(ours(padded, torch.tensor(lengths), decoded))
        found = model.eval()(input_ids=padded, attention_mask=(padded != PADDING).long(), decoder_input_ids=decoded)
    for row, ids in enumerate(target):
        theirs, mine = found.logits[row, : len(ids)], wanted[row, : len(ids)]
        targets = mine.size(-1)
        assert torch.allclose(theirs[:, :targets], mine, atol=1e-5, rtol=0), (theirs[:, :targets] - mine).abs().max()
        assert (theirs[:, targets:] < -9e3).all()


def test_the_tokenizer_and_generation_are_the_same(exported):
    transformers = pytest.importorskip("transformers")
    checkpoint, out = exported
    subwords = Subwords.load(checkpoint / "subwords.model")
    loaded = transformers.AutoTokenizer.from_pretrained(out)
    texts = [*ENGLISH, *SPANISH, "  two   spaces ", "“Quotes” – and dashes…", "日本 ñandú", "soft\u00adhyphen", "x² ﬁ"]
    for text in texts:
        assert loaded(text)["input_ids"] == [*subwords.encode_ids([text])[0], END], text
        assert loaded.decode(subwords.encode_ids([text])[0], skip_special_tokens=True) == subwords.decode(
            subwords.encode_ids([text])[0]
        )
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(out)
    given = loaded(ENGLISH[:3], return_tensors="pt", padding=True)
    made = model.generate(**given, num_beams=1, max_length=40)
    greedy = TorchEngine.load(Checkpoint(checkpoint), subwords)
    from nmt.search.options import SearchOptions

    wanted = greedy.translate([subwords.encode(text).ids for text in ENGLISH[:3]], SearchOptions(beam=1))
    assert loaded.batch_decode(made, skip_special_tokens=True) == [
        subwords.decode(hypotheses[0].pieces) for hypotheses in wanted
    ]


def test_first_words_are_truecased_and_translations_begin_as_sentences():
    tokenizers = pytest.importorskip("tokenizers")
    names = [f"I saw {name}, and {name} saw the boat." for name in ("Tom", "Mary", "Ann")] * 9
    subwords = Subwords.train([*ENGLISH, *SPANISH, *names] * 2, 420, character_coverage=1.0, truecase=True)
    assert subwords.truecased
    converted = tokenizers.Tokenizer.from_str(json.dumps(tokenizer(subwords)))
    texts = [
        *ENGLISH,
        *SPANISH,
        "Tom left.",
        "tom left.",
        "“Mary's here”",
        "¿Quién es Ann? ¡No!",
        "IBM left.",
        "8 boats",
    ]
    for text in texts:
        (ids,) = subwords.encode_ids([text])
        assert converted.encode(text).ids == [*ids, END], text
        assert converted.decode(ids) == subwords.decode_with_spans(ids, subwords.encode(text, ())).text, text
