"""A tiny translator that has half learned a few sentences, for tests that need a whole checkpoint within seconds."""

from pathlib import Path

import torch

from nmt.checkpoint import CONFIG, SUBWORDS, WEIGHTS, save_arrays, write_checkpoint_metadata, write_text
from nmt.config import RunConfig, dump_config, parse_config
from nmt.models import Model, build_model, own_weights
from nmt.text.subwords import Subwords
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.pairs import make_batch

SENTENCES = """\
The old boat leaves the harbour at dawn.
El viejo barco sale del puerto al amanecer.
My sister paints small birds on blue cups.
Mi hermana pinta pájaros pequeños en tazas azules.
Who left this umbrella under the kitchen table?
¿Quién dejó este paraguas debajo de la mesa de la cocina?
It rained for nine days, and then the river rose.
Llovió durante nueve días y luego creció el río.
"Don't wake the baby," said the neighbour.
—No despiertes al bebé —dijo la vecina.
The baker's oven is warm all night long.
El horno del panadero está caliente toda la noche.
I can't find my keys; perhaps the cat has them.
No encuentro mis llaves; quizás las tiene el gato.
Our teacher walks to school even when it snows.
Nuestro maestro camina a la escuela incluso cuando nieva.
How many stars could you count last night?
¿Cuántas estrellas pudiste contar anoche?
They planted forty trees along the dusty road.
Plantaron cuarenta árboles a lo largo del camino polvoriento.
Please write your name at the top of the page.
Por favor, escribe tu nombre en la parte superior de la página.
Grandmother keeps honey, salt and letters in one drawer.
La abuela guarda miel, sal y cartas en un cajón.
The train to the coast was late again!
¡El tren a la costa llegó tarde otra vez!
Nobody knew why the clock had stopped at noon.
Nadie sabía por qué el reloj se había parado a mediodía.
""".splitlines()
"""Written for these tests; English and Spanish in turn."""

ENGLISH, SPANISH = SENTENCES[::2], SENTENCES[1::2]


def joint_subwords() -> Subwords:
    """A vocabulary of our sentences: 260 special and byte pieces, the rest words and their parts."""
    return Subwords.train(SENTENCES, 399, character_coverage=1.0)


def tiny_subwords() -> Subwords:
    """The joint vocabulary, with what is in English sentences alone at its end."""
    return joint_subwords().for_targets(SPANISH)


def tiny_config(**model) -> RunConfig:
    """A run of a network of two layers a side, or of a recurrent one."""
    shape = {"width": 32, "max_length": 64}
    if model.get("type", "transformer") == "transformer":
        shape |= {"encoder_layers": 2, "decoder_layers": 2, "feed_forward": 48, "heads": 4}
    tree = {
        "checkpoint": "nowhere",
        "subwords": {"vocabulary_size": 400},
        "model": {**shape, **model},
        "training": {"max_steps": 1},
        "decoding": {"beam": 4, "max_length_factor": 1.5, "max_length_extra": 4},
    }
    return parse_config(tree, "tests/tiny.py")


def learned_model(config: RunConfig, subwords: Subwords, seed: int = 0, steps: int = 150) -> Model:
    """A network in evaluation mode that has half learned our sentences: its choices are clear, its endings its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(config.model, len(subwords), subwords.target_size)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        batch = make_batch(subwords.encode_ids(ENGLISH), subwords.target.encode_ids(SPANISH))
        for _ in range(steps):
            optimizer.zero_grad()
            (batch_loss(model, batch, Objective(), plain_cross_entropy) / len(ENGLISH)).backward()
            optimizer.step()
    return model.eval()


def write_tiny_checkpoint(
    directory: Path, seed: int = 0, steps: int = 150, subwords: Subwords | None = None, **model
) -> Path:
    """A whole checkpoint directory, as training leaves it, and without an alignment head."""
    config = tiny_config(**model)
    subwords = subwords or tiny_subwords()
    directory.mkdir(parents=True)
    write_text(directory / CONFIG, dump_config(config))
    subwords.save(directory / SUBWORDS)
    weights = own_weights(learned_model(config, subwords, seed, steps))
    save_arrays(directory / WEIGHTS, {name: tensor.numpy() for name, tensor in weights.items()})
    metadata = {
        "source": "en",
        "target": "es",
        "max_length": config.model.max_length,
        "decoding": config.decoding.model_dump(),
        "alignment_layer": None if config.model.attention is None else 0,
    }
    write_checkpoint_metadata(directory, metadata)
    return directory
