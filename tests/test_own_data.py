"""A newcomer's own pairs: the recipe, its budget, what is said, and what is left after Ctrl-C."""

import warnings
from pathlib import Path

import pytest
from toy import toy_config, toy_pairs, write_pairs
from toy_runs import fit, metadata, weights

import nmt.training.run as runs
from nmt import Translator, UserError
from nmt.config import AlignerConfig, RunConfig, load_config, parse_config
from nmt.corpus import load_corpus
from nmt.languages import check_languages, guess_languages
from nmt.recipe import AUGMENT, FEW, PREPARATION, PREPARED_A_MINUTE, expectation, own_data, recipe
from nmt.training.log import Meter, RunLog, describe_budget, read_log
from nmt.training.state import Progress

ROOT = Path(__file__).resolve().parent.parent
PAIRS = (500, 5_000, 29_000, 138_000, 2_000_000)


def chosen(config: RunConfig) -> dict:
    tree = config.model_dump()
    sections = {section: tree[section] for section in ("subwords", "model", "training", "alignment")}
    return sections | {"augment": tree["data"]["augment"]}


@pytest.mark.parametrize(("name", "pairs", "minutes"), [("quickstart.yaml", 137_960, 5), ("files.yaml", 100_000, 60)])
def test_the_configurations_are_the_recipes(name, pairs, minutes):
    made = parse_config({"checkpoint": "x", **recipe(pairs, minutes)}, "the recipe")
    assert chosen(load_config(ROOT / "configs" / name)) == chosen(made)


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("minutes", [0.5, 5, 15, 45, 300])
def test_the_budget_is_the_whole_budget(pairs, minutes):
    config = parse_config({"checkpoint": "x", **recipe(pairs, minutes)}, "the recipe")
    prepared, preparation = config.alignment.guide_weight > 0, 2 * pairs / PREPARED_A_MINUTE
    assert prepared == any(config.data.augment.model_dump().values()) == (preparation <= PREPARATION * minutes)
    preparation *= prepared
    assert 0.9 * minutes < preparation + config.training.max_minutes + config.alignment.minutes < minutes
    assert config.training.optimizer == "muon"
    seen = 10 * config.training.warmup_steps * config.training.batch_tokens / 20  # pairs in ten times the warm-up
    assert seen <= 60_000 * config.training.max_minutes


def test_many_passes_are_regularised_and_few_pairs_get_a_small_vocabulary():
    dropouts = [recipe(pairs, 15)["model"]["dropout"] for pairs in PAIRS]
    assert dropouts == sorted(dropouts, reverse=True) and dropouts[0] > dropouts[-1] == 0
    sizes = [recipe(pairs, 15)["subwords"]["vocabulary_size"] for pairs in PAIRS]
    assert sizes == sorted(sizes)
    assert [recipe(29_000, minutes)["subwords"]["vocabulary_size"] for minutes in (15, 45)] == [4000, 10_000]


def test_only_names_are_capitalised_or_there_are_no_placeholders():
    english, german = (recipe(5_000, 15, source) for source in ("en", "de"))
    assert english["subwords"]["slots"] and not german["subwords"]["slots"]
    assert english["data"] == german["data"] == {"augment": AUGMENT}
    assert recipe(2_000_000, 15)["data"] == {}  # too many to prepare


def test_from_a_file_of_pairs_to_a_translator(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    write_pairs(tmp_path / "pairs.tsv", toy_pairs(300))
    cheap = ["model.width=16", "model.feed_forward=16", "training.validation_pairs=2", "training.device=cpu"]
    ended = train("--data", "pairs.tsv", "--source", "fr", "--minutes", "0.1", *cheap, "training.threads=1")
    assert ended.status == 0, ended.errors
    told = "\n".join(ended.errors)
    for words in (
        "optimizer: muon",
        "pairs are few",
        "taken from train",
        "0.01 minutes of two idle cores for the alignment head, then 0.08 minutes",
    ):
        assert words in told, told
    command = 'nmt-translate --checkpoint checkpoints/pairs "..."'
    assert [line for line in ended.errors if command in line] == [
        f"checkpoint: checkpoints/pairs; translate with: {command}"
    ]
    assert any(line.startswith("hidden Markov models 0/") and "loss" not in line for line in ended.errors)
    translator = Translator.load("checkpoints/pairs")
    assert (translator.source, translator.target) == ("fr", "es")
    assert translator.translate("1 2").alignment is not None
    # The configuration can be edited and trained; it is not overwritten.
    path = tmp_path / "checkpoints/pairs.yaml"
    assert load_config(path).model.width == 16
    path.write_text(path.read_text().replace("width: 16", "width: 24"))
    assert "already exists" in train.refused("--data", "pairs.tsv", "--source", "fr", "--minutes", "0.1", *cheap)
    told = train.refused("--data", "pairs.tsv", "--source", "fr", "--minutes", "9", *cheap, "--resume")
    assert "nmt-train checkpoints/pairs.yaml --resume [training.max_minutes=N]" in told


def test_a_run_that_never_began_leaves_no_configuration(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    write_pairs(tmp_path / "pairs.tsv", toy_pairs(50))
    assert "no run in checkpoints/pairs to resume" in "\n".join(train("--data", "pairs.tsv", "--resume").errors)
    (tmp_path / "checkpoints/full").mkdir(parents=True)
    (tmp_path / "checkpoints/full/file").touch()
    ended = train("--data", "pairs.tsv", "checkpoint=checkpoints/full")
    assert ended.status == 2 and "is not empty" in ended.errors[-1]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["full", "full.yaml"]


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        ([], "--data"),
        (["train.tsv"], "did you mean --data train.tsv?"),
        (["run.yaml", "--minutes", "3"], "--minutes belongs to --data"),
        (["run.yaml", "--data", "train.tsv"], "not both"),
        (["--data", "train.tsv", "dev.tsv", "test.tsv"], "3 files"),
        (["--data", "none.tsv"], "none.tsv: no such file: set --data"),
        (["run"], "did you mean run.yaml?"),
        (["quick"], "did you mean configs/quick.yaml?"),
        (["done/", "--resume"], "did you mean done/config.yaml?"),
        (["--data", "train.tsv", "--source", "xx"], "there is no language 'xx'"),
        (["--data", "train.tsv", "--target", "Spanish"], "did you mean es?"),
        (["--data", "train.tsv", "--resume"], "there is no run in"),
        (["--data", "train.tsv", "--minutes", "-1"], "minutes is -1"),
    ],
)
def test_what_is_no_own_data_is_refused(train, tmp_path, monkeypatch, arguments, mention):
    toy_config(tmp_path)
    for name in ("configs/quick.yaml", "done/config.yaml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    assert mention in train.refused(*arguments)
    assert not (tmp_path / "run").exists()


def test_languages_are_checked_and_guessed(tmp_path):
    for code in ("en", "uk", "pt_br", "zh-Hans", "digits", "tlh"):
        check_languages(parse_config({**recipe(1, 1), "checkpoint": "x", "data": {"source": code}}, "x").data)
    for code, hint in (("xx", "ISO 639-1"), ("jp", "did you mean ja")):
        with pytest.raises(UserError, match=hint):
            check_languages(parse_config({**recipe(1, 1), "checkpoint": "x", "data": {"target": code}}, "x").data)
    (tmp_path / "header.tsv").write_text("de\tfr\nja\toui\n")
    assert guess_languages([str(tmp_path / "header.tsv")]) == ("de", "fr")
    assert guess_languages(["corpus.en.gz", "corpus.de.gz"]) == ("en", "de")
    assert guess_languages(["tatoeba.en-uk.tsv"]) == ("en", "uk")
    assert guess_languages(["pairs.tsv"]) == ("en", "es")


def test_dev_is_taken_from_train_and_said(tmp_path):
    toy_config(tmp_path)
    data = load_config(tmp_path / "run.yaml").data
    assert "taken from train" not in load_corpus(data).describe()
    told = load_corpus(data.model_copy(update={"dev": None})).describe()
    assert "dev: 2 of 2 pairs, taken from train (no data.dev)" in told


def test_expectations_depend_on_the_number_of_pairs(tmp_path):
    assert expectation(FEW) is None and "9,999 pairs are few" in expectation(FEW - 1)
    pairs = write_pairs(tmp_path / "a.tsv", toy_pairs(50))
    config = own_data(pairs, overrides=[f"data.cache={tmp_path}"])
    assert config == own_data([pairs], overrides=[f"data.cache={tmp_path}"])
    assert config.subwords.vocabulary_size == 1000 and config.checkpoint == "checkpoints/a"


class Bar:
    """Stands for the bar, which tqdm draws on terminals only."""

    n = 0.0
    disable = False

    def update(self, more: float) -> None:
        self.n += more

    def set_postfix_str(self, _text: str) -> None: ...


def test_the_bar_moves_at_once_and_a_warm_up_beyond_the_run_is_a_warning(tmp_path):
    progress = Progress()
    meter = Meter(RunLog(tmp_path, 0), progress, warmup_steps=400)
    meter.bar = Bar()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(Meter.EVERY):
            progress.step += 1
            meter.add(1.0, 10, 1e-3, progress.step / 300)
            assert meter.bar.n == pytest.approx(100 * progress.step / 300)
    for words in ("about 300 steps", "the warm-up of 400", "training.warmup_steps=30 would"):
        assert words in str(caught[-1].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(Meter.EVERY):
            progress.step += 1
            meter.add(1.0, 10, 1e-3, progress.step / 4000)
    meter.log.close()
    assert len(read_log(tmp_path)) == 2


def test_without_a_bar_progress_is_a_line_each_half_minute(tmp_path, capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("nmt.training.log.time.monotonic", lambda: now[0])
    progress = Progress()
    meter = Meter(RunLog(tmp_path, 0), progress)
    for _ in range(200):
        now[0] += 1
        progress.step += 1
        meter.add(20.0, 10, 1e-3, progress.step / 400)
    meter.log.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"{share}% of the budget" for share in (10, 20, 30, 40, 50)]
    assert lines[0].endswith("step 40, loss 2.000, 10 tokens/s, rate 1.0e-03")


@pytest.mark.parametrize(
    ("training", "alignment", "said"),
    [
        ({"max_minutes": 1}, {}, "1 minutes for the translator, then about 0.25 minutes of two idle cores for the"),
        ({"max_minutes": 20}, {"minutes": 7}, "20 minutes for the translator, then about 7 minutes"),
        ({"max_minutes": 90}, {}, "90 minutes for the translator, then about 10 minutes"),
        ({"max_steps": 10}, {}, "10 steps for the translator, then about 10 minutes"),
        ({"max_steps": 10}, {"guide_weight": 1}, "about 10 minutes of two idle cores for the alignment head, then 10"),
        ({"max_steps": 10, "max_epochs": 2}, {"head": False}, "10 steps or 2 epochs for the translator"),
    ],
)
def test_the_budget_of_translator_and_head_is_told_before_anything_starts(training, alignment, said):
    config = parse_config({"checkpoint": "x", "training": training, "alignment": alignment}, "x")
    assert describe_budget(config).startswith(f"budget: {said}")
    assert describe_budget(config, has_head=True).endswith("for the translator")


def test_after_ctrl_c_in_the_heads_training_the_translator_is_usable(tmp_path, monkeypatch, command):
    toy_config(tmp_path)

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "train_aligner", interrupted)
        settings = ["alignment.head=true", "alignment.minutes=0.02", "training.max_steps=24"]
        status, _, lines = command("train")(tmp_path / "run.yaml", *settings)
    again = f"go on with: nmt-train {tmp_path}/run.yaml {' '.join(settings)} --resume"
    assert status == 130 and lines[-1].endswith(again) and "only its alignment head is missing" in lines[-2]
    before = weights(tmp_path / "run")
    assert Translator.load(tmp_path / "run").aligner is None
    # Another alignment section is welcome now, another training section is not.
    other = ["alignment.head=true", "alignment.minutes=0.32", "training.max_steps=24"]
    with pytest.raises(UserError, match="another configuration"):
        fit(tmp_path, "run", *other, "training.seed=2", resume=True)
    for _ in range(2):
        fit(tmp_path, "run", *other, resume=True)
        assert weights(tmp_path / "run") == before
        assert Translator.load(tmp_path / "run").aligner is not None
        steps = AlignerConfig.for_minutes(0.32).student_steps
        assert metadata(tmp_path / "run")["alignment_head"]["student_steps"] == steps
    assert load_config(tmp_path / "run/config.yaml").alignment.minutes == 0.32
    # A larger budget saves states that have the head; without a head, it is gone from them too.
    other[-1] = "training.max_steps=36"
    fit(tmp_path, "run", *other, resume=True)
    assert Translator.load(tmp_path / "run").aligner is not None
    for _ in range(2):
        fit(tmp_path, "run", "training.max_steps=36", resume=True)
        assert Translator.load(tmp_path / "run").aligner is None
