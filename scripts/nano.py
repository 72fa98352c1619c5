"""A neural translator in one file: pairs of sentences in, translations and their attention out.

    python scripts/nano.py train pairs.tsv --minutes 5 --output mine
    python scripts/nano.py translate "Where is the station?" --checkpoint tatoeba-en-es

Read it from top to bottom; shapes stand in brackets. It opens and writes the package's checkpoints.
Sections and equations without a name are of "Attention Is All You Need" (Vaswani et al. 2017).
"""

import argparse
import hashlib
import json
import math
import random
import re
import time
from collections import OrderedDict
from pathlib import Path
from unicodedata import category, normalize

import sentencepiece
import torch
from torch import nn


# --- Data: a sentence, a tab, its translation -----------------------------------------------------
def read_pairs(path):
    """The (source, target) pairs of a file with a pair a line; further columns are not read."""
    lines = normalize("NFC", Path(path).read_text(encoding="utf-8")).split("\n")
    return [tuple(line.split("\t")[:2]) for line in lines if "\t" in line]


def make_batches(pairs, batch_tokens=2048, pool=20_000):
    """One pass over pairs of piece ids: batches of at most `batch_tokens` padded positions."""
    # Pairs of like lengths waste little padding: random pools are sorted, then cut into batches.
    length = lambda pair: max(map(len, pair)) + 1  # noqa: E731
    pairs, batches = random.sample(pairs, len(pairs)), []
    for first in range(0, len(pairs), pool):
        batches.append([])
        for pair in sorted(pairs[first : first + pool], key=length):
            if (len(batches[-1]) + 1) * length(pair) > batch_tokens:
                batches.append([])
            batches[-1].append(pair)
    return random.sample(batches, len(batches))


def pad(sequences):
    """Lists of piece ids to one tensor [batch, longest], filled with <pad> on the right."""
    longest = max(map(len, sequences))
    return torch.tensor([ids + [PADDING] * (longest - len(ids)) for ids in sequences])


# --- Subwords: frequent words are one piece, rare words several (Kudo and Richardson 2018) --------

PADDING, UNKNOWN, START, END = 0, 1, 2, 3  # <pad>, <unk>, <s>, </s>


def train_subwords(pairs, path, pieces=6000):
    """Learn one vocabulary for both languages; unknown characters are spelled in bytes."""
    sentences = (sentence for pair in pairs for sentence in pair)
    settings = {"vocab_size": pieces, "hard_vocab_limit": False, "byte_fallback": True}
    settings |= {"pad_id": PADDING, "unk_id": UNKNOWN, "bos_id": START, "eos_id": END}
    with open(path, "wb") as file:
        settings |= {"sentence_iterator": sentences, "model_writer": file, "minloglevel": 2}
        sentencepiece.SentencePieceTrainer.train(**settings)


# --- Attention: each position of one sequence takes a weighted mean of another's (section 3.2) ----
class MultiHeadAttention(nn.Module):
    """Section 3.2.2: [head_1 ... head_h] W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)  # W^Q of all heads
        self.key_value = nn.Linear(width, 2 * width)  # W^K and W^V of all heads
        self.output = nn.Linear(width, width)  # W^O

    def forward(self, x, memory, mask):
        """x [batch, target, width] looks at memory [batch, source, width] where mask is True."""
        key, value = self.key_value(memory).chunk(2, dim=-1)  # [batch, source, width] each
        query, key, value = self.split(self.query(x)), self.split(key), self.split(value)
        # Equation 1: Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V
        scores = query @ key.mT / math.sqrt(query.size(-1))  # [batch, heads, target, source]
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        means = weights @ value  # [batch, heads, target, d_k]
        return self.output(means.transpose(1, 2).flatten(2)), weights

    def split(self, x):
        """[batch, length, width] to [batch, heads, length, d_k] where d_k = width / heads."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


# --- Transformer: the encoder reads the source, the decoder writes the target (section 3.1) -------
class EncoderLayer(nn.Module):
    """Self-attention over the source, then feed-forward.

    Each adds to what it reads: x + Sublayer(LayerNorm(x)) (pre-norm, Xiong et al. 2020).
    """

    def __init__(self, width, inner, heads):
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads)
        # Equation 2, at every position alike: FFN(x) = max(0, x W_1 + b_1) W_2 + b_2
        w_1, w_2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.feed_forward = nn.Sequential(OrderedDict(inner=w_1, relu=nn.ReLU(), outer=w_2))
        self.around_self, self.around_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, mask):  # [batch, source, width] to the same
        y = self.around_self(x)
        x = x + self.self_attention(y, y, mask)[0]
        return x + self.feed_forward(self.around_feed_forward(x))


class DecoderLayer(EncoderLayer):
    """Self-attention over the target so far, cross-attention to the source, feed-forward."""

    def __init__(self, width, inner, heads):
        super().__init__(width, inner, heads)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.around_cross = nn.LayerNorm(width)

    def forward(self, x, memory, self_mask, mask):  # [batch, target, width] to the same, weights
        y = self.around_self(x)
        x = x + self.self_attention(y, y, self_mask)[0]
        y, weights = self.cross_attention(self.around_cross(x), memory, mask)
        x = x + y
        return x + self.feed_forward(self.around_feed_forward(x)), weights


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
        """Pieces [batch, length] to [batch, length, width]: embedding plus position."""
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
        """Target [batch, target] to logits [batch, target, vocabulary], and all cross-attention."""
        length = target.size(1)
        # Section 3.2.3: a position sees itself and those before it, never the answer.
        self_mask = torch.ones(length, length, dtype=torch.bool).tril()
        x, attentions = self.embed(target), []
        for layer in self.decoder_layers:
            x, weights = layer(x, memory, self_mask, mask)
            attentions.append(weights)
        states = self.decoder_norm(x)  # [batch, target, width]
        return nn.functional.linear(states, self.output_weight, self.output_bias), attentions


# --- Loss: the next piece should be likely, but never certain (section 5.4) -----------------------
def loss_of(model, batch):
    """Mean cross-entropy of the batch's target pieces, with 0.1 of each label's mass spread."""
    source = pad([source + [END] for source, _ in batch])  # [batch, source]
    target = pad([[START, *target, END] for _, target in batch])  # [batch, target + 1]
    logits, _ = model.decode(target[:, :-1], *model.encode(source))  # all positions at once
    labels = target[:, 1:].flatten()  # each position's label is the piece after it
    smoothed = {"ignore_index": PADDING, "label_smoothing": 0.1}
    return nn.functional.cross_entropy(logits.flatten(0, 1), labels, **smoothed)


# --- Training: Muon turns the matrices, AdamW the rest, the rate falls to zero --------------------

SIZES = {"encoder_layers": 3, "decoder_layers": 2, "width": 128, "feed_forward": 512, "heads": 4}
RATE, WARMUP = 6e-3, 200


def orthogonal(matrix):
    """The matrix with every singular value moved near to 1 (Jordan et al. 2024)."""
    if matrix.size(0) > matrix.size(1):  # keep x x^T small
        return orthogonal(matrix.T).T
    x = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(5):  # each singular value s becomes 3.4445 s - 4.775 s^3 + 2.0315 s^5
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * square @ square - 4.775 * square) @ x
    return x


def train(model, pairs, minutes, steps=None):
    """Train for so many minutes, or exactly `steps` steps; returns the steps."""
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    momenta = [torch.zeros_like(matrix) for matrix in matrices]
    rest = [weight for weight in model.parameters() if all(weight is not one for one in matrices)]
    adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0)
    started, step, batches = time.monotonic(), 0, []
    while True:
        minute = (time.monotonic() - started) / 60
        spent = step / steps if steps else minute / minutes
        if spent >= 1:
            return step
        step += 1
        batches = batches or make_batches(pairs)
        loss = loss_of(model, batches.pop())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rate = adam.param_groups[0]["lr"] = RATE * min(1, step / WARMUP) * (1 - spent)
        adam.step()
        # Muon: along the orthogonal matrix nearest to the momentum, as far as Adam goes.
        with torch.no_grad():
            for matrix, momentum in zip(matrices, momenta, strict=True):
                momentum.lerp_(matrix.grad, 0.05)
                direction = orthogonal(matrix.grad.lerp(momentum, 0.95))
                matrix -= rate * 0.2 * math.sqrt(max(matrix.shape)) * direction
        if step % 100 == 0:
            print(f"step {step}, {minute:.1f} minutes: loss {loss.item():.3f}", flush=True)


# --- Beam search: keep the likeliest beginnings, extend each by every piece -----------------------
@torch.inference_mode()
def beam_search(model, source, beam=5):
    """The best translation of piece ids `source`, as piece ids without <s> and </s>."""
    memory, mask = model.encode(torch.tensor([source + [END]]))  # [1, source, width]
    longest = min(2 * len(source) + 10, 255)
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
        grown = []
        for score, place in zip(best.tolist(), places.tolist(), strict=True):
            parent, piece = divmod(place, scores.size(1))
            grown.append((score, live[parent][1] + [piece]))
        for score, pieces in grown[:beam]:
            if pieces[-1] == END or length == longest:
                finished.append((score / penalty[length], pieces))
        live = [one for one in grown if one[1][-1] != END][:beam]
        # A log-probability only falls and the penalty only grows: the best a live one can reach.
        reachable = live[0][0] / penalty[longest]
        if len(finished) >= beam or any(reachable <= score for score, _ in finished):
            break
    return [piece for piece in max(finished)[1][1:] if piece != END]


# --- Attention to words: from pieces to what a reader sees ----------------------------------------
def split_words(text):
    """(first, one past last) character of each word and punctuation mark."""
    # Python's \w lacks combining marks, so: "m" for a mark, "w" for \w, other characters as such.
    kinds = "".join("m" if category(c)[0] == "M" else re.sub(r"\w", "w", c) for c in text)
    words = re.finditer(r"[wm]+(?:['’][wm]+)*|[^wm\s](?:m|\u200d[^wm\s])*", kinds)
    return [word.span() for word in words]


def shares(pieces, words):
    """[pieces, words], from spans of characters: how much of each piece belongs to each word."""
    matrix = torch.zeros(len(pieces), len(words))
    for row, (start, end) in zip(matrix, pieces, strict=True):
        over = [n for n, word in enumerate(words) if word[0] < end and word[1] > start]
        if not over:  # a bare space or leading byte leads to the next word
            over = [n for n, word in enumerate(words) if word[1] > start][:1] or [len(words) - 1]
        row[over] = 1 / len(over)
    return matrix


@torch.inference_mode()
def translate(model, subwords, layer, heads, text):
    """Translation, source words, target words, their attention [target words, source words + 1]."""
    text = normalize("NFC", text)
    if not split_words(text):
        return "", [], [], torch.zeros(0, 1)
    source = subwords.encode(text, return_type="offset_mapping")  # ids, and characters of each
    pieces = beam_search(model, source["ids"])
    target = subwords.decode(pieces, return_type="offset_mapping")
    memory = model.encode(torch.tensor([source["ids"] + [END]]))
    # From <s> on, each row of the decoder writes a piece; the last row writes </s>.
    _, attentions = model.decode(torch.tensor([[START, *pieces]]), *memory)
    attention = attentions[layer][0, heads, :-1].mean(dim=0)  # [pieces, source pieces + 1]
    source_words, target_words = split_words(text), split_words(target["text"])
    columns = shares(source["offsets"], source_words)
    rows = shares(target["offsets"], target_words)
    # Sum over a source word's pieces, mean over a target word's (Koehn and Knowles 2017, 3.5).
    over_words = torch.cat([attention[:, :-1] @ columns, attention[:, -1:]], dim=1)  # last: </s>
    matrix = (rows / rows.sum(dim=0)).T @ over_words
    source_words = [text[start:end] for start, end in source_words]
    target_words = [target["text"][start:end] for start, end in target_words]
    return target["text"], source_words, target_words, matrix


def draw(source, target, matrix):
    """The attention as text, source words on top; shade k is a weight of k tenths or more."""
    shades, side, top = " .:-=+*#%@", max(map(len, target), default=0), [*source, "</s>"]
    height = max(map(len, top))
    lines = [" " * side + "".join(f"  {w.rjust(height)[n]}" for w in top) for n in range(height)]
    for word, row in zip(target, matrix.tolist(), strict=True):
        lines.append(word.rjust(side) + "".join("  " + shades[min(int(10 * w), 9)] for w in row))
    return "\n".join(lines)


# --- Files: a directory that the package opens too ------------------------------------------------
def save(directory, model, languages, steps):
    """Write weights, configuration and metadata; subwords.model is there already."""
    # safetensors: the header's length in 8 bytes, the header as JSON, then all numbers in a row
    header, data = {}, b""
    for name, weight in model.named_parameters():
        numbers = bytes(weight.detach().view(torch.uint8).flatten().tolist())
        ends = [len(data), len(data) + len(numbers)]
        name = re.sub(r"(around_\w+)", r"\1.norm", name)  # the package's name for it
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": ends}
        data += numbers
    head = json.dumps(header).encode()
    (directory / "weights.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    config = {"checkpoint": str(directory), "model": SIZES, "training": {"max_steps": steps}}
    config |= {"data": {"corpus": "files", "train": "pairs.tsv"}, "alignment": {"head": False}}
    (directory / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    files = "config.yaml", "subwords.model", "weights.safetensors"
    metadata = dict(zip(("source", "target"), languages, strict=True), max_length=256, decoding={})
    metadata["alignment_layer"] = max(0, len(model.decoder_layers) - 2)
    metadata["files"] = {n: hashlib.sha256((directory / n).read_bytes()).hexdigest() for n in files}
    (directory / "metadata.json").write_text(json.dumps(metadata, indent=2))


def load(checkpoint):
    """Model, subwords, and which heads of which layer to show, of a directory or shipped name."""
    directory = Path(checkpoint)
    if not directory.is_dir():
        directory = Path(__file__).parent.parent / "checkpoints" / checkpoint
    content = bytearray((directory / "weights.safetensors").read_bytes())
    first = 8 + int.from_bytes(content[:8], "little")
    weights = {}
    for name, entry in json.loads(content[8:first]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            dtype = {"F16": torch.float16, "F32": torch.float32}[entry["dtype"]]
            numbers = torch.frombuffer(content[first + start : first + end], dtype=dtype)
            weights[name.replace(".norm", "")] = numbers.view(entry["shape"]).float()
    text = (directory / "config.yaml").read_text(encoding="utf-8")
    sizes = {key: int(re.search(rf"\b{key}\"?: (\d+)", text)[1]) for key in SIZES}
    model = Transformer(sizes, len(weights["output_bias"]))
    model.load_state_dict(weights)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    heads = metadata.get("alignment_heads") or list(range(sizes["heads"]))
    subwords = sentencepiece.SentencePieceProcessor(str(directory / "subwords.model"))
    return model.eval(), subwords, metadata["alignment_layer"], heads


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
    subwords = sentencepiece.SentencePieceProcessor(str(given.output / "subwords.model"))
    encoded = [tuple(subwords.encode(list(pair))) for pair in pairs]
    encoded = [pair for pair in encoded if all(0 < len(ids) < 256 for ids in pair)]
    model = Transformer(SIZES, subwords.get_piece_size())
    save(given.output, model, given.languages, train(model, encoded, given.minutes, given.steps))


if __name__ == "__main__":
    main()
