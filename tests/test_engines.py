"""Both engines: attention against an independent pass step by step, and CTranslate2 against PyTorch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from tiny import ENGLISH, SENTENCES, SPANISH, tiny_config, write_tiny_checkpoint

from nmt.checkpoint import CONFIG, METADATA, WEIGHTS, Checkpoint, load_arrays, save_arrays, write_checkpoint_metadata
from nmt.config import load_config
from nmt.engines.conversion import (
    convert,
    expected_shapes,
    export_to_ctranslate2,
    permute_heads,
    set_quantization,
)
from nmt.engines.ctranslate2_engine import CTranslate2Engine
from nmt.engines.late import imported_late
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.files import sha256_of
from nmt.models import build_model, load_weights, own_weights
from nmt.models.attention import attention
from nmt.search.options import SearchOptions
from nmt.text.subwords import END, START, Subwords
from nmt.translator import Translator
from nmt.untrusted import QUANTIZATIONS

# Learned sentences, unlearned ones (in the other language too), one piece, and one long line.
SOURCES = [*ENGLISH[:7], *SPANISH[:3], "Birds!", "cat", "the boat " * 12]


def engines(directory) -> tuple[Subwords, TorchEngine, CTranslate2Engine]:
    checkpoint = Checkpoint(directory)
    subwords = Subwords.load(checkpoint.path("subwords.model"))
    return subwords, TorchEngine.load(checkpoint, subwords), CTranslate2Engine(checkpoint, subwords, 1)


@pytest.fixture(
    scope="module", params=[{}, {"norm": "post"}, {"tied_embeddings": False}], ids=["default", "post-norm", "untied"]
)
def both(request, tmp_path_factory, tiny_checkpoint):
    if not request.param:
        return engines(tiny_checkpoint)
    return engines(write_tiny_checkpoint(tmp_path_factory.mktemp("kinds") / "tiny", **request.param))


@torch.inference_mode()
def cross_attention_step_by_step(model, source: list[int], target: list[int]) -> np.ndarray:
    """[layers, heads, target + 1, source + 1]: no cache, no mask, no batch; each step reads the whole prefix anew."""
    memory, mask, _ = model.encode(torch.tensor([[*source, END]]), torch.tensor([len(source) + 1]))
    rows = []
    for length in range(1, len(target) + 2):
        x = model._embed(model.target_embedding, torch.tensor([[START, *target][:length]]))
        row = []
        for layer in model.decoder_layers:
            # A causal mask row by row: position i sees the first i + 1 positions.
            entered = layer.around_self.input(x)
            outputs = []
            for position in range(length):
                seen = layer.self_attention.project(entered[:, : position + 1])
                outputs.append(layer.self_attention(entered[:, position : position + 1], seen)[0])
            x = layer.around_self.output(x, torch.cat(outputs, dim=1))
            module = layer.cross_attention
            query = module._split(module.query(layer.around_cross.input(x)))
            key, value = module.project(memory)
            mean, weights = attention(query, key, value)
            row.append(weights[0, :, -1])  # [heads, source + 1]
            x = layer.around_cross.output(x, module.output(mean.transpose(1, 2).flatten(2)))
            x = layer.around_feed_forward.output(x, layer.feed_forward(layer.around_feed_forward.input(x)))
        rows.append(torch.stack(row))
    return torch.stack(rows, dim=2).numpy()


def test_attention_of_every_hypothesis_equals_a_pass_step_by_step(both):
    subwords, engine, _ = both
    ids = subwords.encode_ids(SOURCES[8:12])
    found = engine.translate(ids, SearchOptions(beam=4, n_best=4))
    pairs = [(source, one.pieces) for source, hypotheses in zip(ids, found, strict=True) for one in hypotheses]
    maps = engine.attention(*map(list, zip(*pairs, strict=True)), candidates=3)
    assert len(maps) == 16
    for (source, target), one in zip(pairs, maps, strict=True):
        np.testing.assert_allclose(one.cross, cross_attention_step_by_step(engine.model, source, target), atol=1e-5)
        for kind in (one.encoder, one.decoder, one.cross):
            np.testing.assert_allclose(kind.sum(-1), 1, atol=1e-5)
        assert (np.triu(one.decoder, 1) == 0).all()
        assert len(one.candidates) == len(target) + 1


def test_scores_of_every_hypothesis_equal_teacher_forcing(both):
    subwords, engine, _ = both
    ids = subwords.encode_ids(SOURCES)
    for source, hypotheses in zip(ids, engine.translate(ids, SearchOptions(beam=4, n_best=4)), strict=True):
        for one in hypotheses:
            labels = [*one.pieces, *([END] if one.ended else [])]
            with torch.inference_mode():
                states = engine.model(
                    torch.tensor([[*source, END]]),
                    torch.tensor([len(source) + 1]),
                    torch.tensor([[START, *labels[:-1]]]),
                )
                log_probabilities = engine.model.logits(states).log_softmax(-1)[0]
            total = sum(log_probabilities[row, piece].item() for row, piece in enumerate(labels))
            assert one.log_probability == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("name", ["torch", "ctranslate2"])
def test_batches_and_their_order_change_nothing(both, name, beam):
    subwords, *pair = both
    engine = pair[name == "ctranslate2"]
    ids = subwords.encode_ids(SOURCES)
    # CTranslate2's last hypotheses of a list may differ where some reach their longest length.
    n_best = beam if name == "torch" else 1
    options = SearchOptions(beam, n_best, max_length_factor=1.5, max_length_extra=4)
    together = engine.translate(ids, options)
    assert_equal(engine.translate(ids[::-1], options, batch_sentences=3)[::-1], together)
    assert_equal([engine.translate([source], options)[0] for source in ids], together)


def assert_equal(found, expected) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert [(one.pieces, one.ended) for one in ours] == [(one.pieces, one.ended) for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)
            if one.attention is not None and other.attention is not None:
                np.testing.assert_allclose(one.attention, other.attention, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(1),
        SearchOptions(4),
        SearchOptions(4, 1, length_penalty=0.0, max_length_factor=0.5),
        SearchOptions(4, 1, length_penalty=0.6),
        SearchOptions(4, 1, length_penalty=2.0),
        SearchOptions(1, 1, max_length_factor=0.1, max_length_extra=2),
        SearchOptions(4, 1, max_length_factor=0.5, max_length_extra=1),
        SearchOptions(4, 1, max_length_factor=9.0, max_length_extra=40),  # beyond the model's positions
    ],
    ids=str,
)
def test_ctranslate2_equals_torch(both, options):
    subwords, torchs, fast = both
    ids = subwords.encode_ids(SOURCES)
    expected, found = torchs.translate(ids, options, attention=True), fast.translate(ids, options, 5, attention=True)
    assert_equal(found, expected)
    layer = 0
    pairs = [(source, hypotheses[0].pieces) for source, hypotheses in zip(ids, found, strict=True)]
    maps = torchs.attention(*map(list, zip(*pairs, strict=True)))
    for hypotheses, one in zip(found, maps, strict=True):
        matrix = hypotheses[0].attention
        assert matrix is not None
        np.testing.assert_allclose(matrix, one.cross[layer, :, :-1].mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("beam", [1, 3])
def test_the_fewest_pieces_are_kept_by_both_engines(both, beam):
    # Scores differ slightly: CTranslate2 shares the mass of a suppressed `</s>` among the other pieces.
    subwords, *pair = both
    ids = subwords.encode_ids(SOURCES)
    for engine in pair:
        free, found = (engine.translate(ids, SearchOptions(beam, min_length=least)) for least in (0, 25))
        assert min(len(hypotheses[0].pieces) for hypotheses in free) < 25
        assert min(len(hypotheses[0].pieces) for hypotheses in found) in (25, 26)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_translation_can_end_after_its_fewest_pieces(both, beam):
    subwords, *pair = both
    options = SearchOptions(beam, min_length=25, max_length_factor=0.0, max_length_extra=1)
    assert options.max_length(10) == 26  # `</s>` is one of them
    for engine in pair:
        for hypotheses in engine.translate(subwords.encode_ids(SOURCES), options):
            assert 25 <= len(hypotheses[0].pieces) + hypotheses[0].ended <= 26
            assert not hypotheses[0].ended or len(hypotheses[0].pieces) == 25


def test_fewest_pieces_beyond_the_models_limit_are_that_limit(both):
    subwords, *pair = both
    for engine in pair:
        ((found,),) = engine.translate(subwords.encode_ids(SOURCES[:1]), SearchOptions(2, min_length=300))
        assert len(found.pieces) == 63 and not found.ended


def test_cores_are_those_that_the_process_may_use(tiny_checkpoint, monkeypatch):
    checkpoint = Checkpoint(tiny_checkpoint)
    subwords = Subwords.load(checkpoint.path("subwords.model"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert CTranslate2Engine(checkpoint, subwords).cores == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert CTranslate2Engine(checkpoint, subwords).cores == 3


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the processor is told by /proc/cpuinfo, on Linux")
def test_ctranslate2_computes_with_avx512_where_the_processor_has_it(tiny_checkpoint):
    program = f"""
from nmt.translator import Translator
Translator.load({str(tiny_checkpoint)!r}).translate("A dog.")
"""
    environment = {**os.environ, "CT2_VERBOSE": "1"}
    environment.pop("CT2_FORCE_CPU_ISA", None)
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    flags = set(Path("/proc/cpuinfo").read_text().split())
    ice_lake = {"avx512_vbmi2", "avx512_vnni", "avx512_bitalg", "avx512_vpopcntdq", "gfni", "vaes", "vpclmulqdq"}
    expected = "AVX512" if ice_lake <= flags else "AVX2" if "avx2" in flags else ""
    assert f"Selected ISA: {expected}" in told.stderr + told.stdout


def test_each_file_is_hashed_once(tiny_checkpoint, monkeypatch):
    hashed = []
    monkeypatch.setattr("nmt.checkpoint.sha256_of", lambda path: hashed.append(path.name) or sha256_of(path))
    engines(tiny_checkpoint)
    assert len(hashed) == len(set(hashed)) and "weights.safetensors" in hashed


def test_permuting_heads_changes_nothing_but_their_order(tiny_checkpoint):
    checkpoint = Checkpoint(tiny_checkpoint)
    subwords = Subwords.load(checkpoint.path("subwords.model"))
    config = load_config(checkpoint.path(CONFIG)).model
    order = [2, 0, 3, 1]
    maps = []
    for permuted in (False, True):
        weights = load_arrays(checkpoint.path(WEIGHTS))
        if permuted:
            permute_heads(weights, "decoder_layers.0.cross_attention", order)
        model = build_model(config, len(subwords), subwords.target_size)
        load_weights(model, weights, "a test")
        ids = subwords.encode_ids(SOURCES[:2])
        maps.append(TorchEngine(model).attention(ids, ids[::-1], candidates=5))
    for before, after in zip(*maps, strict=True):
        np.testing.assert_allclose(after.cross[0], before.cross[0][order], atol=1e-5)
        assert not np.allclose(after.cross[0], before.cross[0], atol=1e-3)
        np.testing.assert_allclose(after.cross[1], before.cross[1], atol=1e-5)
        np.testing.assert_allclose(after.decoder, before.decoder, atol=1e-5)
        for one, other in zip(before.candidates, after.candidates, strict=True):
            assert [name for name, _ in one] == [name for name, _ in other]


@pytest.mark.parametrize("heads", [[3], [2, 1]])
def test_chosen_alignment_heads_are_those_that_come_back(tmp_path, tiny_checkpoint, heads):
    directory = shutil.copytree(tiny_checkpoint, tmp_path / "tiny")
    write_checkpoint_metadata(directory, {**Checkpoint(directory).metadata.record, "alignment_heads": heads})
    subwords, torchs, fast = engines(directory)
    ids = subwords.encode_ids(SOURCES[:5])
    found = fast.translate(ids, SearchOptions(4), attention=True)
    assert_equal(found, torchs.translate(ids, SearchOptions(4)))
    maps = torchs.attention(ids, [one[0].pieces for one in found])
    for hypotheses, one in zip(found, maps, strict=True):
        np.testing.assert_allclose(hypotheses[0].attention, one.cross[0, heads, :-1].mean(axis=0), atol=1e-4)


def test_a_head_that_is_not_there_is_refused(tmp_path, tiny_checkpoint):
    directory = shutil.copytree(tiny_checkpoint, tmp_path / "tiny")
    write_checkpoint_metadata(directory, {**Checkpoint(directory).metadata.record, "alignment_heads": [4]})
    with pytest.raises(UserError, match="alignment heads are not there"):
        export_to_ctranslate2(directory, tmp_path / "model")


def test_an_export_replaces_a_model_and_nothing_else(tmp_path, tiny_checkpoint):
    model = export_to_ctranslate2(tiny_checkpoint, tmp_path / "model")
    size = (model / "model.bin").stat().st_size
    export_to_ctranslate2(tiny_checkpoint, model, "int8")
    assert (model / "model.bin").stat().st_size < size / 2
    assert {path.name for path in model.iterdir()} == {
        *("model.bin", "config.json"),
        *("source_vocabulary.json", "target_vocabulary.json"),
    }
    for place in (tiny_checkpoint, tiny_checkpoint / "config.yaml"):
        with pytest.raises(UserError, match="no CTranslate2 model"):
            export_to_ctranslate2(tiny_checkpoint, place)


def test_int8_translates_what_float32_translates_mostly(tmp_path, tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    directory = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    engines(directory)
    set_quantization(directory, "int8")
    subwords, torchs, fast = engines(directory)
    sizes = sorted(path.stat().st_size for path in (tmp_path / "cache").rglob("model.bin"))
    assert len(sizes) == 2 and sizes[0] < sizes[1] / 2
    ids = subwords.encode_ids(ENGLISH)
    pairs = zip(fast.translate(ids, SearchOptions(4)), torchs.translate(ids, SearchOptions(4)), strict=True)
    assert sum(ours[0].pieces == theirs[0].pieces for ours, theirs in pairs) >= len(SENTENCES) // 4


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_every_type_of_weights_can_be_exported(tmp_path, tiny_checkpoint, quantization):
    model = export_to_ctranslate2(tiny_checkpoint, tmp_path / "model", quantization)
    found = ctranslate2.Translator(str(model)).translate_batch([["▁the", "</s>"]], beam_size=1, max_decoding_length=9)
    assert found[0].hypotheses


def test_bfloat16_after_a_conversion_without_torch(tmp_path, tiny_checkpoint):
    program = f"""
import sys
from pathlib import Path
from nmt.engines.conversion import export_to_ctranslate2
export_to_ctranslate2({str(tiny_checkpoint)!r}, {str(tmp_path / "int8")!r}, "int8")
assert "torch" not in sys.modules
export_to_ctranslate2({str(tiny_checkpoint)!r}, {str(tmp_path / "bfloat16")!r}, "bfloat16")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("int8", "bfloat16")]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("model", [{}, {"norm": "post"}, {"tied_embeddings": False}, {"positions": "learned"}], ids=str)
def test_expected_shapes_are_those_of_the_network(model):
    config = tiny_config(**model).model
    shapes = {name: tuple(weight.shape) for name, weight in own_weights(build_model(config, 400, 300)).items()}
    assert expected_shapes(config, 400, 300) == shapes


def test_a_network_is_converted_once(tmp_path, tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    converted = []
    monkeypatch.setattr(
        "nmt.engines.ctranslate2_engine.convert", lambda *given: converted.append(given) or convert(*given)
    )
    for _ in range(2):
        engines(tiny_checkpoint)
    assert len(converted) == 1
    (model,) = (tmp_path / "cache").rglob("model.bin")
    for harmed in (model.read_bytes()[:-1000], b""):
        model.write_bytes(harmed)
        engines(tiny_checkpoint)
    model.unlink()
    engines(tiny_checkpoint)
    assert len(converted) == 4


@pytest.mark.parametrize("cache", ["file/cache", "x" * 300], ids=["file", "long"])
def test_a_cache_that_cannot_be_written_costs_no_translation(tmp_path, tiny_checkpoint, monkeypatch, cache):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / cache))
    assert Translator.load(tiny_checkpoint).fast
    subwords, torchs, fast = engines(tiny_checkpoint)
    ids = subwords.encode_ids(SOURCES)
    assert_equal(fast.translate(ids, SearchOptions(4)), torchs.translate(ids, SearchOptions(4)))


def test_the_network_of_an_older_checkpoint_is_ignored(tmp_path, tiny_checkpoint):
    directory = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    metadata = json.loads((directory / METADATA).read_text())
    (directory / "ctranslate2").mkdir()
    (directory / "ctranslate2" / "model.bin").write_bytes(b"of other weights")
    metadata["files"]["ctranslate2/model.bin"] = sha256_of(directory / "ctranslate2" / "model.bin")
    del metadata["sha256"]
    (directory / METADATA).write_text(json.dumps(metadata))
    text = Translator.load(tiny_checkpoint).translate(ENGLISH[0]).text
    assert Translator.load(directory).translate(ENGLISH[0]).text == text
    set_quantization(directory, "int8")
    assert not any(name.startswith("ctranslate2") for name in Checkpoint(directory).metadata.record["files"])


def test_other_weights_are_another_network(tmp_path, tiny_checkpoint):
    directory = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    _, _, before = engines(directory)
    weights = load_arrays(directory / WEIGHTS)
    weights["output_bias"][40] += 20
    save_arrays(directory / WEIGHTS, weights)
    write_checkpoint_metadata(directory, Checkpoint(directory).metadata.record)
    subwords, torchs, fast = engines(directory)
    ids = subwords.encode_ids(SOURCES[:3])
    assert_equal(fast.translate(ids, SearchOptions(4)), torchs.translate(ids, SearchOptions(4)))
    assert [one[0].pieces for one in before.translate(ids, SearchOptions(4))] != [
        one[0].pieces for one in fast.translate(ids, SearchOptions(4))
    ]


def test_no_sources_no_hypotheses(both):
    _, torchs, fast = both
    assert torchs.translate([], SearchOptions()) == fast.translate([], SearchOptions()) == []


def test_a_library_is_imported_when_it_is_first_used(tmp_path, monkeypatch):
    (tmp_path / "nmt_library.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    with imported_late("nmt_library"):
        import nmt_library
    assert "nmt_library" not in sys.modules
    assert nmt_library.answer == 42
    with imported_late("nmt_library"):
        import nmt_library as again
    assert again is sys.modules.pop("nmt_library") is not nmt_library


def test_ctranslate2_does_not_import_what_only_servers_use():
    code = "import sys, nmt.engines.ctranslate2_engine; print('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
