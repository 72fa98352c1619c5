"""A neural translator in one file: pairs of sentences in, translations and their attention out.

    python scripts/nano.py train pairs.tsv --minutes 5 --output mine
    python scripts/nano.py translate "Where is the station?" --checkpoint tatoeba-en-es

Read it from top to bottom: data, subwords, attention, transformer, loss, training, beam search,
attention to words, the matrix in the terminal, files. It is the plain twin of the package `nmt`,
whose checkpoints it reads and writes. "Section" and "equation" alone are of "Attention Is All You
Need" (Vaswani et al. 2017, arXiv:1706.03762). Shapes stand in brackets.
"""

import argparse
import hashlib
import json
import math
import random
import re
import struct
import time
import unicodedata
from pathlib import Path

import sentencepiece
import torch
from torch import nn
from torch.nn import functional

# --- Data: a sentence, a tab, its translation -----------------------------------------------------


def read_pairs(path):
    """The (source, target) pairs of a file with a pair a line; further columns are not read."""
    text = unicodedata.normalize("NFC", Path(path).read_text(encoding="utf-8"))
    rows = [line.split("\t") for line in text.split("\n")]
    return [(row[0], row[1]) for row in rows if len(row) > 1]


def make_batches(pairs, batch_tokens=2048, pool_batches=100):
    """One pass over the encoded pairs in batches of at most `batch_tokens` padded positions.

    Sentences of one length waste no padding, so random pools are sorted before they are cut.
    """
    length = lambda pair: max(map(len, pair)) + 1  # noqa: E731
    pairs = random.sample(pairs, len(pairs))
    pool = max(1, int(pool_batches * batch_tokens * len(pairs) / sum(map(length, pairs))))
    batches = []
    for first in range(0, len(pairs), pool):
        batch = []
        for pair in sorted(pairs[first : first + pool], key=length):
            if batch and (len(batch) + 1) * length(pair) > batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(pair)
        batches.append(batch)
    return random.sample(batches, len(batches))


def pad(sequences):
    """Lists of piece ids to one tensor [batch, longest], filled with <pad> on the right."""
    longest = max(map(len, sequences))
    return torch.tensor([ids + [PADDING] * (longest - len(ids)) for ids in sequences])


# --- Subwords: frequent words are one piece, rare words several (Kudo and Richardson 2018) --------

PADDING, UNKNOWN, START, END = 0, 1, 2, 3  # <pad>, <unk>, <s>, </s>


def train_subwords(pairs, path, vocabulary_size=6000):
    """Learn one vocabulary for both languages; unknown characters are spelled in bytes."""
    ids = {"pad_id": PADDING, "unk_id": UNKNOWN, "bos_id": START, "eos_id": END}
    size = {"vocab_size": vocabulary_size, "hard_vocab_limit": False, "byte_fallback": True}
    sentences = (sentence for pair in pairs for sentence in pair)
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences, model_writer=file, **size, **ids, minloglevel=2
        )


# --- Attention: each position of one sequence takes a weighted mean of another's (section 3.2) ----


class MultiHeadAttention(nn.Module):
    """Equation 1, `heads` times side by side (section 3.2.2).

    MultiHead(Q, K, V) = Concat(head_1 ... head_h) W^O,
    head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)
    """

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)  # W^Q of all heads
        self.key_value = nn.Linear(width, 2 * width)  # W^K and W^V of all heads
        self.output = nn.Linear(width, width)  # W^O

    def forward(self, x, memory, mask):
        """x [batch, target, width] looks at memory [batch, source, width] where mask is True.

        Returns [batch, target, width] and the weights [batch, heads, target, source].
        """
        key, value = self.key_value(memory).chunk(2, dim=-1)  # [batch, source, width] each
        parts = self.query(x), key, value
        query, key, value = (  # [batch, heads, length, d_k], d_k = width / heads
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts
        )
        # Equation 1: Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V
        scores = query @ key.mT / math.sqrt(query.size(-1))  # [batch, heads, target, source]
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        mean = weights @ value  # [batch, heads, target, d_k]
        return self.output(mean.transpose(1, 2).flatten(2)), weights


# --- Transformer: the encoder reads the source, the decoder writes the target (section 3.1) -------


class EncoderLayer(nn.Module):
    """Self-attention over the source, then equation 2, FFN(x) = max(0, x W_1 + b_1) W_2 + b_2.

    A sublayer adds to what it reads, x + Sublayer(LayerNorm(x)) (Xiong et al. 2020); the paper's
    LayerNorm(x + Sublayer(x)) needs more care in training.
    """

    def __init__(self, width, inner, heads):
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads)
        matrices = {"inner": nn.Linear(width, inner), "outer": nn.Linear(inner, width)}
        self.feed_forward = nn.ModuleDict(matrices)
        self.around_self, self.around_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, mask):
        y = self.around_self(x)
        return self.finish(x + self.self_attention(y, y, mask)[0])  # [batch, source, width]

    def finish(self, x):
        inner = self.feed_forward["inner"](self.around_feed_forward(x)).relu()
        return x + self.feed_forward["outer"](inner)


class DecoderLayer(EncoderLayer):
    """Self-attention over the target so far, cross-attention to the source, equation 2."""

    def __init__(self, width, inner, heads):
        super().__init__(width, inner, heads)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.around_cross = nn.LayerNorm(width)

    def forward(self, x, memory, self_mask, mask):
        y = self.around_self(x)
        x = x + self.self_attention(y, y, self_mask)[0]  # [batch, target, width]
        output, weights = self.cross_attention(self.around_cross(x), memory, mask)
        return self.finish(x + output), weights


class Transformer(nn.Module):
    """Source and target piece ids to the logits of each next piece."""

    def __init__(self, sizes, vocabulary):
        super().__init__()
        width = sizes["width"]
        layer = width, sizes["feed_forward"], sizes["heads"]
        # Section 3.4: one matrix embeds source and target and, transposed, scores the next piece.
        self.output_weight = nn.Parameter(torch.randn(vocabulary, width) * width**-0.5)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        encoder = [EncoderLayer(*layer) for _ in range(sizes["encoder_layers"])]
        decoder = [DecoderLayer(*layer) for _ in range(sizes["decoder_layers"])]
        self.encoder_layers, self.decoder_layers = nn.ModuleList(encoder), nn.ModuleList(decoder)
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embed(self, pieces):
        """Pieces [batch, length] to [batch, length, width]: embedding and position added."""
        width = self.output_weight.size(1)
        # Section 3.5: PE(p, 2i) = sin(p / 10000^(2i / width)), PE(p, 2i + 1) = cos(the same)
        position = torch.arange(pieces.size(1), dtype=torch.float64)[:, None]
        angle = position / 10000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
        positions = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()
        return self.output_weight[pieces] * math.sqrt(width) + positions

    def encode(self, source):
        """Source [batch, source] to the memory [batch, source, width] and its mask."""
        mask = (source != PADDING)[:, None, None]  # [batch, 1, 1, source]
        x = self.embed(source)
        for layer in self.encoder_layers:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def decode(self, target, memory, mask):
        """Target [batch, target], <s> first, to logits [batch, target, vocabulary].

        Also each decoder layer's cross-attention [batch, heads, target, source].
        """
        length = target.size(1)
        # Section 3.2.3: a position sees itself and those before it, never the answer.
        self_mask = torch.ones(length, length, dtype=torch.bool).tril()
        x, attentions = self.embed(target), []
        for layer in self.decoder_layers:
            x, weights = layer(x, memory, self_mask, mask)
            attentions.append(weights)
        states = self.decoder_norm(x)  # [batch, target, width]
        return functional.linear(states, self.output_weight, self.output_bias), attentions


# --- Loss: the next piece should be likely, but never certain (section 5.4) -----------------------


def loss_of(model, batch):
    """Mean label-smoothed cross-entropy of the batch's target pieces.

    The label has 1 - 0.1 of the mass; 0.1 is spread evenly over the vocabulary.
    """
    source = pad([source + [END] for source, _ in batch])  # [batch, source]
    target = pad([[START, *target, END] for _, target in batch])  # [batch, target + 1]
    logits, _ = model.decode(target[:, :-1], *model.encode(source))  # all positions at once
    labels = target[:, 1:].flatten()  # each position's label is the piece after it
    smoothed = {"ignore_index": PADDING, "label_smoothing": 0.1}
    return functional.cross_entropy(logits.flatten(0, 1), labels, **smoothed)


# --- Training: Muon turns the matrices, AdamW the rest, the rate falls to zero --------------------

SIZES = {"encoder_layers": 3, "decoder_layers": 2, "width": 128, "feed_forward": 512, "heads": 4}
RATE, WARMUP = 6e-3, 200


def train(model, pairs, minutes, steps=None):
    """Train for so many minutes, or exactly `steps` steps; returns the steps."""
    # Muon (Jordan et al. 2024) steps along the orthogonal matrix nearest to the momentum.
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    rest = [weight for weight in model.parameters() if all(weight is not one for one in matrices)]
    muon = torch.optim.Muon(matrices, lr=RATE, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0)
    started, step, batches = time.monotonic(), 0, []
    while True:
        minute = (time.monotonic() - started) / 60
        spent = step / steps if steps else minute / minutes
        if spent >= 1:
            return step
        step += 1
        for group in muon.param_groups + adam.param_groups:
            group["lr"] = RATE * min(1, step / WARMUP) * (1 - spent)
        batches = batches or make_batches(pairs)
        loss = loss_of(model, batches.pop())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        if step % 100 == 0:
            print(f"step {step}, {minute:.1f} minutes: loss {loss.item():.3f}", flush=True)


# --- Beam search: keep the likeliest beginnings, extend each by every piece -----------------------


@torch.inference_mode()
def beam_search(model, source, beam=5, longest=None):
    """The best translation of piece ids `source`, as piece ids without <s> and </s>."""
    memory, mask = model.encode(torch.tensor([source + [END]]))  # [1, source, width]
    longest = longest or min(2 * len(source) + 10, 255)
    # lp(Y) = (5 + |Y|) / (5 + 1) (Wu et al. 2016, equation 14); </s> counts in |Y|
    penalty = [(5 + length) / 6 for length in range(longest + 1)]
    live, finished = [(0.0, [START])], []  # (log-probability, pieces), best first
    for length in range(1, longest + 1):
        target = torch.tensor([pieces for _, pieces in live])  # [beam, length]
        logits, _ = model.decode(target, memory.expand(len(live), -1, -1), mask)
        scores = logits[:, -1].log_softmax(dim=-1)  # [beam, vocabulary]
        scores[:, [PADDING, UNKNOWN, START]] = -torch.inf
        scores += torch.tensor([score for score, _ in live])[:, None]
        # Twice as many as the beam: even if `beam` of them end, `beam` live ones remain.
        best, places = scores.flatten().topk(2 * beam)
        grown = [
            (score, live[place // scores.size(1)][1] + [place % scores.size(1)])
            for score, place in zip(best.tolist(), places.tolist(), strict=True)
        ]
        for score, pieces in grown[:beam]:
            if pieces[-1] == END or length == longest:
                finished.append((score / penalty[length], pieces))
        live = [one for one in grown if one[1][-1] != END][:beam]
        # A log-probability only falls: no live one can overtake what this bound does not.
        reachable = live[0][0] / penalty[longest]
        if len(finished) >= beam or any(reachable <= score for score, _ in finished):
            break
    pieces = max(finished, key=lambda one: one[0])[1]
    return [piece for piece in pieces[1:] if piece != END]


# --- Attention to words: from pieces to what a reader sees ----------------------------------------


def split_words(text):
    """(first, one past last) character of each word and punctuation mark."""
    # Python's \w has no combining marks; "m" stands for one, "w" for a letter or digit.
    mark = [unicodedata.category(character)[0] == "M" for character in text]
    kinds = "".join("m" if m else re.sub(r"\w", "w", c) for m, c in zip(mark, text, strict=True))
    pattern = r"[wm]+(?:['’][wm]+)*|[^wm\s](?:m|\u200d[^wm\s])*"
    return [match.span() for match in re.finditer(pattern, kinds)]


def shares(spans, words):
    """[pieces, words]: which words each piece belongs to, equal shares of a piece over several."""
    matrix = torch.zeros(len(spans), len(words), dtype=torch.float64)
    for piece, (start, end) in enumerate(spans):
        over = [n for n, word in enumerate(words) if word[0] < end and word[1] > start]
        if not over:  # a bare space or leading byte leads to the next word
            over = [n for n, word in enumerate(words) if word[1] > start][:1] or [len(words) - 1]
        matrix[piece, over] = 1 / len(over)
    return matrix


@torch.inference_mode()
def translate(model, processor, shown, text):
    """Translation, source words, target words and attention [target words, source words + 1].

    `shown` is the decoder layer and the heads of it whose mean cross-attention is returned.
    """
    text = unicodedata.normalize("NFC", text)
    if not split_words(text):
        return "", [], [], torch.zeros(0, 1)
    read = processor.encode(text, return_type="offset_mapping")
    pieces = beam_search(model, read["ids"])
    target = torch.tensor([[START, *pieces]])  # row i of the decoder writes piece i, the last </s>
    _, attentions = model.decode(target, *model.encode(torch.tensor([read["ids"] + [END]])))
    attention = attentions[shown[0]][0, shown[1], :-1].mean(dim=0).double()  # [target, source + 1]
    written = processor.decode(pieces, return_type="offset_mapping")
    texts = text, written["text"]
    spans = [split_words(side) for side in texts]
    # Sum over a source word's pieces, mean over a target word's (Koehn and Knowles 2017, 3.5).
    columns = torch.block_diag(shares(read["offsets"], spans[0]), torch.ones(1, 1)).double()
    rows = shares(written["offsets"], spans[1])  # [target, target words]
    matrix = (rows / rows.sum(dim=0)).T @ (attention @ columns)  # the last column is </s>
    words = [[side[a:b] for a, b in places] for side, places in zip(texts, spans, strict=True)]
    return texts[1], *words, matrix.float()


def draw(source, target, matrix):
    """The attention as text, source words on top; shade k is a weight of k tenths or more."""
    shades, side = " .:-=+*#%@", max(map(len, target), default=0)
    top = [*source, "</s>"]
    height = max(map(len, top))
    lines = [" " * side + "".join(f"  {w.rjust(height)[n]}" for w in top) for n in range(height)]
    for word, row in zip(target, matrix.tolist(), strict=True):
        lines.append(word.rjust(side) + "".join("  " + shades[min(int(10 * w), 9)] for w in row))
    return "\n".join(lines)


# --- Files: a directory that the package opens too ------------------------------------------------


def save(directory, model, languages, steps):
    """Write weights, configuration and metadata; subwords.model is there already."""
    # safetensors: the header's length in 8 bytes, the header as JSON, then all numbers in a row
    header, content = {}, b""
    for name, weight in model.named_parameters():
        numbers = bytes(weight.detach().contiguous().view(torch.uint8).flatten().tolist())
        span = [len(content), len(content) + len(numbers)]
        name = re.sub(r"(around_\w+)", r"\1.norm", name)  # the package's name for it
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": span}
        content += numbers
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (directory / "weights.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + content)
    config = {"checkpoint": str(directory), "model": SIZES, "training": {"max_steps": steps}}
    config |= {"data": {"corpus": "files", "train": "pairs.tsv"}, "alignment": {"head": False}}
    (directory / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    files = "config.yaml", "subwords.model", "weights.safetensors"
    metadata = dict(zip(("source", "target"), languages, strict=True), max_length=256, decoding={})
    metadata["alignment_layer"] = max(0, len(model.decoder_layers) - 2)
    metadata["files"] = {n: hashlib.sha256((directory / n).read_bytes()).hexdigest() for n in files}
    (directory / "metadata.json").write_text(json.dumps(metadata, indent=2))


def load(checkpoint):
    """(model, subwords, layer and heads to show) of a directory, or of a shipped checkpoint."""
    directory = Path(checkpoint)
    if not directory.is_dir():
        directory = Path(__file__).parent.parent / "checkpoints" / checkpoint
    content = (directory / "weights.safetensors").read_bytes()
    first = 8 + struct.unpack("<Q", content[:8])[0]
    weights = {}
    for name, entry in json.loads(content[8:first]).items():
        if name != "__metadata__":
            start, end = (first + place for place in entry["data_offsets"])
            dtype = {"F16": torch.float16, "F32": torch.float32}[entry["dtype"]]
            numbers = torch.frombuffer(bytearray(content[start:end]), dtype=dtype)
            weights[name.replace(".norm", "")] = numbers.view(entry["shape"]).float()
    text = (directory / "config.yaml").read_text(encoding="utf-8")
    sizes = {key: int(re.search(rf"\b{key}\"?: (\d+)", text)[1]) for key in SIZES}
    model = Transformer(sizes, len(weights["output_bias"]))
    model.load_state_dict(weights)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    heads = metadata.get("alignment_heads") or list(range(sizes["heads"]))
    processor = sentencepiece.SentencePieceProcessor(str(directory / "subwords.model"))
    return model.eval(), processor, (metadata["alignment_layer"], heads)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="train on a file of pairs: source, tab, target a line")
    one.add_argument("pairs")
    one.add_argument("--minutes", type=float, default=5)
    one.add_argument("--steps", type=int, help="exactly so many steps, whatever time they take")
    one.add_argument("--languages", nargs=2, default=["en", "es"], metavar="CODE")
    one.add_argument("--output", type=Path, default="mine", help="a new directory")
    two = commands.add_parser("translate", help="translate a sentence, and show its attention")
    two.add_argument("text")
    two.add_argument("--checkpoint", default="tatoeba-en-es", help="directory, or a shipped name")
    given = parser.parse_args()
    if given.command == "translate":
        text, *rest = translate(*load(given.checkpoint), given.text)
        return print(text, draw(*rest), sep="\n\n")
    torch.manual_seed(1)
    random.seed(1)
    given.output.mkdir(parents=True)
    pairs = read_pairs(given.pairs)
    train_subwords(pairs, given.output / "subwords.model")
    processor = sentencepiece.SentencePieceProcessor(str(given.output / "subwords.model"))
    encoded = [tuple(processor.encode(list(pair))) for pair in pairs]
    encoded = [pair for pair in encoded if all(0 < len(ids) < 256 for ids in pair)]
    model = Transformer(SIZES, processor.get_piece_size())
    steps = train(model, encoded, given.minutes, given.steps)
    save(given.output, model, given.languages, steps)


if __name__ == "__main__":
    main()
