"""What scripts/quality.py reports, against sacreBLEU's and sacremoses' own commands and against counting by hand."""

import contextlib
import importlib
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import Fork
from hypothesis import given
from hypothesis import strategies as st
from tiny import ENGLISH, SPANISH

from nmt import Translator
from nmt.config import load_config
from nmt.corpus import load_corpus
from nmt.errors import UserError
from scripts import goals, quality, rerank, speedrun
from scripts.scoring import analysis, contest, metrics, page

ROOT = Path(__file__).parent.parent
OUTPUTS = ["Ein Mann, der „schläft“ & träumt.", "Zwei Hunde's Ball [rot] liegt da.", "Die Frau  isst einen Apfel!"]
TARGETS = ["Ein Mann, der schläft & träumt.", "Zwei Hunde's Ball [rot] liegt dort.", "Eine Frau isst einen Apfel."]


def test_tokenised_bleu_is_that_of_the_commands(tmp_path):
    pytest.importorskip("sacremoses")
    paths = []
    for name, lines in (("outputs", OUTPUTS), ("targets", TARGETS)):
        given_text = "".join(f"{line.lower()}\n" for line in lines)
        program = "from sacremoses.cli import cli; cli()"
        command = [sys.executable, "-c", program, "-q", "-l", "de", "normalize", "tokenize"]
        tokens = subprocess.run(command, input=given_text, capture_output=True, text=True, check=True).stdout
        assert "&amp;" in tokens and "&apos;" in tokens, tokens
        paths.append(tmp_path / name)
        paths[-1].write_text(tokens, encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(paths[1]), "-i", str(paths[0]), "-w", "6", "-m", "bleu", "-lc"]
    told = json.loads(
        subprocess.run([*command, "--tokenize", "none", "--force"], capture_output=True, text=True, check=True).stdout
    )
    found = metrics.tokenised_bleu(OUTPUTS, TARGETS, "de")
    assert 20 < found["tokenised_bleu"] < 99
    assert found["tokenised_bleu"] == pytest.approx(told["score"], abs=1e-5)
    assert told["signature"] == found["tokenised_bleu_signature"] and "tok:none" in told["signature"]


@given(st.integers(0, 10**6))
def test_every_value_lies_in_the_bucket_of_its_name(value):
    for starts in (analysis.LENGTHS, analysis.FREQUENCIES):
        name = analysis.name_of(analysis.bucket(value, starts), starts).replace(",", "")
        first = int(name.split()[0])
        last = float("inf") if "more" in name else int(name.split()[-1])
        assert first <= max(value, starts[0]) <= last


def test_buckets_hold_every_sentence_and_every_word():
    texts = [*SPANISH[1:], SPANISH[0]]
    lengths = analysis.by_length(ENGLISH, texts, [[line] for line in SPANISH])
    assert sum(row["sentences"] for row in lengths) == len(ENGLISH)
    rows = analysis.by_frequency(SPANISH, texts, SPANISH)
    assert sum(row["reference_words"] for row in rows) == sum(len(analysis.words(line)) for line in SPANISH)
    assert sum(row["translation_words"] for row in rows) == sum(len(analysis.words(line)) for line in texts)
    perfect = [row for row in analysis.by_frequency(SPANISH[:5], SPANISH, SPANISH) if row["reference_words"]]
    assert len(perfect) == 2 and all(row["recall"] == row["precision"] == row["f1"] == 1 for row in perfect)


def test_a_repeated_word_is_right_only_as_often_as_its_reference_has_it():
    rows = analysis.by_frequency(["la casa"], ["la la la casa"], ["La casa y la mesa"])
    once, never = rows[1], rows[0]
    assert (once["right"], once["reference_words"], once["translation_words"]) == (3, 3, 4)
    assert (never["right"], never["reference_words"], never["translation_words"]) == (0, 2, 0)


def test_every_hundredth_sentence_is_ranked():
    assert list(analysis.sample(2500)) == list(range(0, 2500, 100))
    assert analysis.sample(1205).step == 50 and len(analysis.sample(1205)) == 25
    assert list(analysis.sample(3)) == [0, 1, 2]
    sources = [str(number) for number in range(2000)]
    # The further on, the more of the reference is missing.
    texts = ["abcdefghijklmnopqrstuvwxyz"[: 26 - number // 100] for number in range(2000)]
    found = analysis.examples(sources, texts, [["abcdefghijklmnopqrstuvwxyz"]] * 2000)
    assert [row["number"] for row in found["good"]] == list(range(0, 1000, 100))
    assert [row["number"] for row in found["bad"]] == list(range(1900, 900, -100))


def test_planted_leaks_are_found():
    train = [("Good morning!", "¡Buenos días!"), ("It's late.", "Es tarde."), ("Go.", "Ve.")]
    test = [("Go.", "Ve."), ("Go.", "Vete."), ("it's LATE", "Ya es tarde."), ("Good evening!", "¡Buenas tardes!")]
    assert analysis.leaks(train, test) == {
        "test_pairs": 4,
        "pairs_in_training": 1,
        "test_sources": 3,
        "sources_in_training": 1,
        "bare_sources_in_training": 2,
    }


def test_both_multi30k_recipes_are_one_but_for_what_their_records_had():
    german, french = (yaml.safe_load((ROOT / "configs" / f"multi30k-en-{x}.yaml").read_text()) for x in ("de", "fr"))
    for tree in (german, french):
        del tree["checkpoint"], tree["data"], tree["training"]["r_drop"], tree["training"]["max_minutes"]
    assert german == french


def test_the_page_tells_what_was_measured_and_nothing_else(tmp_path):
    raw = tmp_path / "quality"
    raw.mkdir()
    common = {"machine": {"processor": "a machine"}, "minutes": 61.2}
    score = {"bleu": 31.25, "chrf": 50.5, "bleu_signature": "SB", "chrf_signature": "SC", "sentences": 9}
    dev = [{"step": 100, "seconds": 60, "bleu": 20.0}, {"step": 200, "seconds": 150, "bleu": 31.0}]
    training = {"seed": 7, "steps": 200, "parameters": 1000}
    joeynmt = {"side": "JoeyNMT 2.3.0", **score, "training": {"steps": 90, "parameters": 900}}
    record = common | {
        "kind": "joeynmt",
        "command": "python -m scripts.quality joeynmt",
        "corpus": "tatoeba",
        "corpus_sha256": "abc123",
        "seed": 7,
        "threads": 2,
        "beam": 5,
        "settings": {"training": {"optimizer": "sgd", "learning_rate": 0.002}, "model": {"encoder": {"dropout": 0.1}}},
        "recipe": {"model": {"dropout": 0.25}},
        "sides": [
            {"side": "nmt", "asked": 30.0, **score, "training": training, "dev": dev},
            {**joeynmt, "asked": 10.0, "bleu": 2.0, "dev": []},
            {**joeynmt, "asked": 30.0, "bleu": 9.25, "dev": [{**dev[0], "bleu": 21.0}]},
            {**joeynmt, "asked": 60.0, "bleu": 32.5, "dev": [{**dev[0], "bleu": 30.0}, {**dev[1], "bleu": 22.0}]},
        ],
    }
    (raw / "joeynmt-tatoeba.json").write_text(json.dumps(record))
    text = page.write_page(raw).read_text()
    assert "| 30 | 30 | +22.0 | +0.0 | 2.5 |" in text and "| 30 | 60 | -1.2 | +0.0 | 2.5 |" in text
    assert "| 30 | 10 |" not in text
    row = "| nmt | 30 | 31.25 | 50.50 | 31.00 | 200 | 1,000 |"
    for told in (
        row,
        "### tatoeba",
        "seed: `7`",
        "threads: `2`",
        "abc123",
        "SB",
        "SC",
        "dropout: `0.1`",
        '"dropout": 0.25',
        "sgd",
    ):
        assert told in text
    assert "## Multi30k" not in text and "## Tatoeba" not in text


def test_a_set_that_an_earlier_measurement_left_out_is_an_empty_cell(tmp_path):
    score = {"bleu": 31.0, "chrf": 50.0, "tokenised_bleu": 30.5, "tokenised_bleu_signature": "ST"}
    score |= {"bleu_signature": "SB", "chrf_signature": "SC"}
    training = {"seed": 1, "steps": 9, "minutes": 2.0, "dev_loss": 1.5, "parameters": 1, "threads": 2, "weights": "w"}
    training |= {"corpus_sha256": "abc", "engine": "torch", "decoding": {"beam": 5, "length_penalty": 1.0}}
    record = {
        "kind": "multi30k",
        "command": "python -m scripts.quality multi30k",
        "minutes": 1.0,
        "machine": {"processor": "a machine"},
        "target": "de",
        "checkpoint": "checkpoints/x",
        "recipe": {},
        "training": training,
        "sets": {"test 2016": score, "test 2017": score},
        "earlier": [training | {"scores": {"test 2016": score, "test 2017": {"left_out": "no file"}}}],
    }
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "multi30k-de-x.json").write_text(json.dumps(record))
    text = page.write_page(tmp_path / "quality").read_text()
    assert "| 2 | 9 | 1.5 | 1.0 | 30.50 |  |" in text


def test_changes_that_the_contest_cannot_make_are_refused_first(tmp_path):
    config = contest.nmt_config("tatoeba", 10.0, 1, ["model.dropout=0.2"], tmp_path)
    assert (config.training.max_minutes, config.model.dropout) == (10.0, 0.2)
    with pytest.raises(UserError, match="training.threads=1' cannot be a change"):
        contest.nmt_config("tatoeba", 10.0, 1, ["training.threads=1"], tmp_path)
    changes = ["training.batch_size=512", "model.encoder.dropout=0.1", "testing.max_output_length=50"]
    recipe = contest.joeynmt_recipe(config, changes)
    assert recipe["training"]["batch_size"] == 512 and contest.FAVOURED["batch_size"] != 512
    assert (recipe["model"]["encoder"]["dropout"], recipe["model"]["decoder"]["dropout"]) == (0.1, 0.2)
    assert recipe["testing"]["max_output_length"] == 50
    for change, complaint in (("data.train=x", "sections"), ("training.learning_rate.x=1", "is a value")):
        with pytest.raises(UserError, match=complaint):
            contest.joeynmt_recipe(config, [change])


def test_a_checkpoint_on_files_is_measured_from_end_to_end(tmp_path, capsys):
    """A toy run through `tatoeba` and the page: its card, its scores, its examples."""
    from toy import toy_config

    from nmt.cli.train import main as train

    config = toy_config(tmp_path, training={"max_steps": 12})
    train([str(config)])
    card = (tmp_path / "run" / "README.md").read_text()
    metadata = json.loads((tmp_path / "run" / "metadata.json").read_text())
    for told in ("digits to names", metadata["corpus_sha256"], f"{metadata['parameters']:,}", "| seed | 1 |"):
        assert told in card
    quality.main(["tatoeba", str(tmp_path / "run"), "--engine", "torch", "--output", str(tmp_path / "quality")])
    record = json.loads((tmp_path / "quality" / "tatoeba-run.json").read_text())
    assert record["leaks"]["pairs_in_training"] == 0 and record["scores"]["sentences"] == 20
    assert len(record["examples"]["good"]) == len(record["examples"]["bad"]) == 10
    assert f"BLEU {record['scores']['bleu']:.1f}" in (tmp_path / "quality.md").read_text()


def test_the_record_keeps_whose_translations_of_a_test_set_came_before():
    first, second, third = (
        {"steps": 100, "dev_loss": loss, "engine": "torch", "decoding": {"beam": 5}} for loss in (2.0, 1.5, 1.4)
    )
    scored_before = quality.scored_before
    assert scored_before({"training": first, "scores": {}}, {**first, "engine": "ctranslate2"}) == []
    kept = scored_before({"training": first, "scores": {"bleu": 30}}, second)
    assert kept == [{**first, "scores": {"bleu": 30}}]
    record = {"training": second, "earlier": kept, "sets": {"test 2016": {"bleu": 40}}}
    assert scored_before(record, third) == [*kept, {**second, "scores": record["sets"]}]
    assert scored_before(record, second) == kept
    assert len(scored_before(record, {**second, "decoding": {"beam": 6}})) == 2


def test_a_step_of_the_speed_run_trains_both_sides_and_tells(tmp_path, capsys, monkeypatch):
    from toy import toy_config

    from nmt.cli.common import run as run_command
    from nmt.cli.train import main as train

    real = subprocess.run

    def in_a_fork(command, **options):
        if "nmt.cli.train" not in command:
            return real(command, **options)
        status, errors = Fork(lambda: run_command("nmt-train", train, command[3:])).wait()
        return subprocess.CompletedProcess(command, status, "", errors)

    monkeypatch.setattr(subprocess, "run", in_a_fork)

    config = toy_config(tmp_path, training={"max_steps": 10})
    step = ["01-rate", "no learning", "--config", str(config), "--minutes", "5", "--every", "5", "--seeds", "1", "2"]
    step += ["--base", "training.learning_rate=4e-3", "training.beta2=0.97"]
    places = ["--output", str(tmp_path / "steps"), "--checkpoints", str(tmp_path / "kept")]
    speedrun.main([*step, "--change", "training.learning_rate=1e-9", *places])
    record = json.loads((tmp_path / "steps" / "01-rate.json").read_text())
    assert [one["seed"] for one in record["runs"]] == [1, 2]
    assert "1e-9" in record["command"] and "kept" not in record["command"]
    for one in record["runs"]:
        assert one["base"]["steps"] == one["changed"]["steps"] == 10
        assert one["changed"]["loss"] > one["base"]["loss"] + 0.05  # it learned nothing
    assert (tmp_path / "kept" / "01-rate-2" / "changed" / "metadata.json").exists()
    page = (tmp_path / "steps.md").read_text()
    assert "| dropped |" in page and "no learning" in page and "not reached" in page
    assert "the base has `training.learning_rate=4e-3`; on both sides `training.beta2=0.97`" in page


def test_a_goal_is_told_with_every_seed(tmp_path, monkeypatch):
    from toy import toy_config

    def command(name, *arguments):
        main, told = importlib.import_module(f"nmt.cli.{name}").main, io.StringIO()
        if name == "train":
            assert Fork(lambda: main(list(arguments))).wait()[0] == 0
            return ""
        with contextlib.redirect_stdout(told):
            main(list(arguments))
        return told.getvalue()

    monkeypatch.setattr(goals, "command", command)
    config = toy_config(tmp_path, training={"max_steps": 20})
    places = ["--output", str(tmp_path / "steps" / "goals"), "--checkpoints", str(tmp_path / "kept")]
    with pytest.raises(UserError, match="seed"):
        goals.main([str(config), "46", *places, "--change", "training.seed=7"])
    goals.main([str(config), "46", "--seeds", "1", "2", *places, "--change", "training.max_steps=10"])
    (path,) = (tmp_path / "steps" / "goals").iterdir()
    runs = json.loads(path.read_text())["runs"]
    assert [(one["seed"], one["steps"], one["test"]["sentences"]) for one in runs] == [(1, 10, 20), (2, 10, 20)]
    assert len({one["dev_loss"] for one in runs}) == 2
    bleu = [one["test"]["bleu"] for one in runs]
    mean, spread = statistics.mean(bleu), abs(bleu[0] - bleu[1]) / 2**0.5
    assert f"| 46 | **{mean:.1f}** ± {spread:.1f} |" in (tmp_path / "steps.md").read_text()
    kept = tmp_path / "kept" / f"{config.stem}-2"
    translator = Translator.load(kept, engine="torch")
    dev = load_corpus(load_config(config).data).dev
    scores = [translator.score(one["source"], one["target"]).log_probability for one in dev]
    assert runs[1]["nats_a_pair"] == pytest.approx(-statistics.mean(scores), rel=1e-3)


def test_the_record_is_the_fewest_minutes_of_three_seeds_at_the_line():
    def runs(minutes, *above, corpus=goals.CORPUS):
        return {
            "runs": [{"minutes": minutes, "nats_a_pair": goals.LINE + one, "corpus_sha256": corpus} for one in above]
        }

    records = {
        "slow": runs(50, -0.1, -0.1, -0.1),
        "missed": runs(20, -0.1, 0.1, 0.1),
        "two seeds": runs(20, -0.1, -0.1),
        "other text": runs(20, -0.1, -0.1, -0.1, corpus="0"),
        "on average": runs(30, -0.2, 0.1, 0.0),
    }
    assert goals.record_of(records) == "on average"
    del records["on average"], records["slow"]
    assert goals.record_of(records) is None


def test_the_other_direction_reranks_hypotheses():
    translator, other = (Translator.load(name, threads=1) for name in ("tatoeba-en-es", "tatoeba-es-en"))
    found = translator.translate(["Where is the station?", "I was late."], n_best=3)
    scores = rerank.channel_scores(found, other)
    for one, own in zip(found, scores, strict=True):
        alone = [other.score(hypothesis.text, one.source) for hypothesis in one.hypotheses]
        pieces = len(other.subwords.target.encode(one.source, ()).ids) + 1
        assert own.tolist() == pytest.approx([each.log_probability / pieces for each in alone], abs=1e-4)
        assert rerank.best(one, own, 0.0).text == one.text
        assert rerank.best(one, own, 1e6).text == one.hypotheses[int(own.argmax())].text


def test_the_recipe_can_be_the_change(tmp_path):
    from toy import toy_config

    from nmt.recipe import recipe

    config = toy_config(tmp_path, training={"max_steps": 10})
    data = load_config(config).data
    options = speedrun.make_parser().parse_args(["r", "recipe", "--config", str(config), "--recipe", "90"])
    options.change = speedrun.recipe_changes(options)
    path, *overrides = speedrun.train_arguments(options, "changed", tmp_path / "place", 1)
    found = load_config(path, overrides)
    chosen = recipe(len(load_corpus(data).train), 90, data.source)
    assert found.data.augment.model_dump().items() >= chosen["data"]["augment"].items() and chosen["data"]["augment"]
    for section in ("subwords", "model", "alignment"):
        assert getattr(found, section).model_dump().items() >= chosen[section].items()
    assert found.training.optimizer == "muon" and found.training.max_minutes == options.minutes


def test_a_change_is_kept_by_twice_the_standard_error():
    def record(losses, change, bleu=(0.0, 0.0, 0.0)):
        sides = [
            {"base": {"loss": 2.0, "bleu": 20.0}, "changed": {"loss": 2.0 + loss, "bleu": 20.0 + gain}}
            for loss, gain in zip(losses, bleu, strict=True)
        ]
        return {"runs": sides, "change": [change]}

    # Standard errors of the three: 0.0577; of the mean -0.1 that is less than two.
    assert speedrun.verdict(record([-0.2, -0.1, 0.0], "model.width=64")) == "dropped"
    assert speedrun.verdict(record([-0.2, -0.1, -0.1], "model.width=64")) == "kept"
    assert speedrun.verdict(record([0.2, 0.1, 0.1], "model.width=64")) == "dropped"
    # Label smoothing changes the loss by itself: BLEU decides.
    smoothing = "training.label_smoothing=0"
    assert speedrun.verdict(record([-0.2, -0.1, -0.1], smoothing)) == "dropped"
    assert speedrun.verdict(record([0.2, 0.1, 0.1], smoothing, bleu=[1.0, 2.0, 1.5])) == "kept"
