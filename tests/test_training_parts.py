"""The parts of training that papers or arithmetic give: accumulation, averaging, schedules."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.numpy import load_file
from toy import toy_config, toy_pairs, write_pairs

from nmt.batching import BatchSampler
from nmt.checkpoint import KNOWN_WORDS, SUBWORDS, shipped_checkpoint
from nmt.config import AugmentConfig, TrainingConfig, load_config
from nmt.text.subwords import PADDING, Subwords
from nmt.training.augment import Augmenter
from nmt.training.pairs import EncodedPairs, Feed, Variation
from nmt.training.run import train
from nmt.training.schedule import learning_rate
from nmt.training.state import COPIED, Progress, average, save_state

EVERYDAY = Path(__file__).resolve().parent.parent / "data" / "everyday" / "english-spanish.tsv"


@pytest.mark.parametrize("norm, optimizer", [("pre", "adamw"), ("post", "adam"), ("pre", "muon")])
def test_two_halves_accumulated_are_one_batch(tmp_path, norm, optimizer):
    # Pairs of one length: all 32 fill one batch, or two halves of it, whatever the order.
    pairs = toy_pairs(32, shortest=3, longest=3)
    length = len(pairs[0][0].split()) + 1  # a digit is one piece, and `</s>` is one
    changes = {"max_steps": 8, "validate_every": 8, "average": "none", "warmup_steps": 0, "learning_rate": 1e-3}
    changes["precision"] = "float32"  # what is compared is the order of sums
    path = toy_config(tmp_path, training=changes, model={"dropout": 0.0, "norm": norm})
    write_pairs(tmp_path / "train.tsv", [(source, source) for source, _ in pairs])
    write_pairs(tmp_path / "dev.tsv", [(source, source) for source, _ in pairs])
    found = []
    for name, size, accumulate in (("one", 32, 1), ("halves", 16, 2)):
        overrides = [f"checkpoint={tmp_path / name}", f"training.optimizer={optimizer}"]
        overrides += [f"training.batch_tokens={size * length}", f"training.accumulate={accumulate}"]
        found.append(load_file(train(load_config(path, overrides)) / "weights.safetensors"))
    for name, array in found[0].items():
        if name.endswith("key_value.bias"):  # a key's bias has no effect (softmax) and so no gradient but noise
            array, found[1][name] = array[len(array) // 2 :], found[1][name][len(array) // 2 :]
        np.testing.assert_allclose(array, found[1][name], atol=1e-4, err_msg=name)


# --- averaging and the schedule ---------------------------------------------------------------------------------


def test_the_average_is_the_mean(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    for name in COPIED:
        (tmp_path / name).write_text(name)
    kept = []
    for step in (10, 20, 30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        kept.append([parameter.detach().double().numpy().copy() for parameter in model.parameters()])
        place = save_state(tmp_path, Progress(step=step), model, optimizer, [10, 20, step][: step // 10])
    found = average(place, [10, 30])
    for (name, _), first, last in zip(model.named_parameters(), kept[0], kept[2], strict=True):
        np.testing.assert_array_equal(found[name].numpy(), ((first + last) / 2).astype(np.float32))


def settings(**values) -> TrainingConfig:
    return TrainingConfig(max_steps=1000, **values)


def test_inverse_square_root_schedule():
    # Vaswani et al. 2017, equation 3, whose peak is at the end of warm-up: (width * warmup) ** -0.5.
    width, warmup = 512, 4000
    config = settings(schedule="inverse_sqrt", warmup_steps=warmup, learning_rate=(width * warmup) ** -0.5)
    for step in (1, 10, 3999, 4000, 4001, 100_000):
        expected = width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert learning_rate(config, step, 0.3) == pytest.approx(expected, rel=1e-12)


def test_linear_schedule():
    # torch's own: n steps of LinearLR from 1 to 0.
    config = settings(schedule="linear", warmup_steps=0, learning_rate=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    theirs = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1, end_factor=0, total_iters=20)
    for step in range(21):
        assert learning_rate(config, step + 1, step / 20) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()
    assert learning_rate(config, 22, 1.05) == 0  # past the budget


def test_cosine_schedule():
    # Loshchilov and Hutter 2017, equation 5, with a minimum of zero and one cycle.
    config = settings(schedule="cosine", warmup_steps=100, learning_rate=0.3)
    for share in (0.2, 0.5, 0.75, 1.0):
        expected = 0.5 * 0.3 * (1 + math.cos(math.pi * share))
        assert learning_rate(config, 500, share) == pytest.approx(expected, abs=1e-12)
    assert learning_rate(config, 25, 0.0) == pytest.approx(0.3 / 4)
    assert learning_rate(config, 900, 1.2) == pytest.approx(0, abs=1e-12)


def test_constant_schedule_and_no_warmup():
    config = settings(schedule="constant", warmup_steps=0, learning_rate=0.3)
    assert {learning_rate(config, step, share) for step in (1, 2, 900) for share in (0.0, 1.0)} == {0.3}


def test_a_side_without_any_piece_is_a_side_of_length_one(tmp_path):
    subwords = Subwords.load(shipped_checkpoint() / SUBWORDS)
    pairs = Dataset.from_dict({"source": ["\u200b"], "target": ["Hola."]})  # a zero-width space
    encoded = EncodedPairs(pairs, "one", subwords, 20, tmp_path)
    assert len(encoded) == 1 and encoded.source_lengths.tolist() == [1]
    batch = encoded.batch(np.array([0]))
    assert batch.source_lengths.tolist() == [1] and batch.target_input.size(1) > 1


def test_short_pairs_come_up_more_often(tmp_path):
    subwords = Subwords.load(shipped_checkpoint() / SUBWORDS)
    pairs = Dataset.from_dict({
        "source": ["Hello.", "She brought me a cup of tea.", "Yes.", "word " * 30],
        "target": ["Hola.", "Me trajo una taza de té.", "Ella me trajo una taza de té.", "palabra " * 30],
    })  # fmt: skip
    encoded = EncodedPairs(pairs, "three", subwords, 20, tmp_path, Variation(short_copies=3))
    assert encoded.numbers.tolist() == [0, 0, 0, 1, 2] and encoded.left_out == 1
    lengths = [len(subwords.encode(pairs["source"][number]).ids) + 1 for number in encoded.numbers]
    assert encoded.source_lengths.tolist() == lengths


def everyday_pairs() -> Dataset:
    rows = [line.split("\t") for line in EVERYDAY.read_text().splitlines()]
    rows = [row for row in rows if row[0] in ("everyday", "word", "vocabulary")] * 10
    return Dataset.from_dict({"source": [row[1] for row in rows], "target": [row[2] for row in rows]})


def test_batches_are_made_of_lengths_that_augmented_pairs_have(tmp_path):
    """Nearly every row has the length that it was sorted by, so batches are padded little more than those of plain
    pairs; by the lengths of plain pairs they were padded by a third more."""
    checkpoint = shipped_checkpoint()
    subwords = Subwords.load(checkpoint / SUBWORDS, checkpoint / KNOWN_WORDS)
    config = AugmentConfig(names=0.3, numbers=0.8, lower=0.1, unmarked=0.1, title=0.05, unaccented=0.1, marks=0.1)
    augmenter = Augmenter(config, ("en", "es"), subwords.known_words)
    pairs = everyday_pairs()
    encoded = EncodedPairs(pairs, "everyday", subwords, 100, tmp_path, Variation(augmenter=augmenter))

    drawn = encoded.draw(seed=1, epoch=2)
    expected = np.stack(encoded.lengths(drawn), axis=1)[:500]
    rows = [encoded.batch(np.array([row]), seed=row, kinds=drawn[[row]]) for row in range(500)]
    lengths = np.array([(batch.source.size(1), batch.labels.size(1)) for batch in rows])
    plain = np.stack([encoded.source_lengths, encoded.target_lengths], axis=1)[:500]
    assert (lengths == expected).mean() > 0.95 > (plain == expected).mean()

    def padding(feed: Feed) -> float:
        batches = [encoded.batch(*feed.next()) for _ in feed.batches]
        real = sum(int((side != PADDING).sum()) for batch in batches for side in (batch.source, batch.labels))
        return 1 - real / sum(side.numel() for batch in batches for side in (batch.source, batch.labels))

    feeds = [Feed(encoded, 512, 1, Progress()) for _ in range(2)]
    unsorted = Feed(encoded, 512, 1, Progress())
    unsorted.batches = BatchSampler(encoded.source_lengths, encoded.target_lengths, 512).batches(0)
    first, again, worse = map(padding, (*feeds, unsorted))
    assert first == again < 0.6 * worse
