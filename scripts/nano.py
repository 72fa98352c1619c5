"""A neural translator in one file: pairs of sentences in, translations and their attention out.

    python scripts/nano.py train pairs.tsv --minutes 5 --output mine
    python scripts/nano.py translate "Where is the station?" --checkpoint tatoeba-en-es

Read it from top to bottom; shapes stand in brackets. No dropout, no placeholders, no cache.
Sections and equations without a name are of "Attention Is All You Need" (Vaswani et al. 2017).
"""

import argparse
import json
import math
import random
import re
import time
from collections import OrderedDict
from hashlib import sha256
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
    pairs, batches = random.sample(pairs, len(pairs)), []  # a shuffled copy
    for first in range(0, len(pairs), pool):
        batches.append([])
        for pair in sorted(pairs[first : first + pool], key=lambda pair: max(map(len, pair))):
            longest = max(map(len, pair)) + 1  # of the batch, as lengths ascend; with <s> or </s>
            if (len(batches[-1]) + 1) * longest > batch_tokens:
                batches.append([])
            batches[-1].append(pair)
    return random.sample(batches, len(batches))


# --- Subwords: frequent words are one piece, rare words several (Kudo and Richardson 2018) --------
PADDING, UNKNOWN, START, END = 0, 1, 2, 3  # <pad>, <unk>, <s>, </s>
MAX_LENGTH = 256  # pieces of a sentence, with </s>


def train_subwords(pairs, path, vocabulary=6000):
    """Learn one vocabulary, of fewer pieces where text is short; other characters become bytes."""
    settings = {"vocab_size": vocabulary, "hard_vocab_limit": False, "byte_fallback": True}
    settings |= {"pad_id": PADDING, "unk_id": UNKNOWN, "bos_id": START, "eos_id": END}
    with open(path, "wb") as file:
        settings |= {"sentence_iterator": (s for pair in pairs for s in pair), "model_writer": file}
        sentencepiece.SentencePieceTrainer.train(**settings, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(str(path))


# --- Attention: a weighted mean over the positions of a sequence, its own or other (section 3.2) --
class MultiHeadAttention(nn.Module):
    """3.2.2: Concat(head_1, ..., head_h) W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)  # W^Q of all heads
        self.key_value = nn.Linear(width, 2 * width)  # W^K and W^V of all heads
        self.output = nn.Linear(width, width)  # W^O

    def forward(self, x, memory, mask):
        """x [batch, target, width] looks at memory [batch, source, width] where mask is True."""
        keys, values = self.key_value(memory).chunk(2, dim=-1)  # [batch, source, width] each
        query, key, value = self.split(self.query(x)), self.split(keys), self.split(values)
        # Equation 1: Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V
        scores = query @ key.mT / math.sqrt(query.size(-1))  # [batch, heads, target, source]
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        means = weights @ value  # [batch, heads, target, d_k]
        return self.output(means.transpose(1, 2).flatten(2)), weights  # [batch, target, width], ...

    def split(self, x):
        """[batch, length, width] to [batch, heads, length, d_k] where d_k = width / heads."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


# --- Transformer: the encoder reads the source, the decoder writes the target (section 3.1) -------
class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each x + Sublayer(LayerNorm(x)) (Xiong et al. 2020)."""

    def __init__(self, width, inner_width, heads):
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads)
        # Equation 2, at every position alike: FFN(x) = max(0, x W_1 + b_1) W_2 + b_2
        w_1, w_2 = nn.Linear(width, inner_width), nn.Linear(inner_width, width)
        self.feed_forward = nn.Sequential(OrderedDict(inner=w_1, relu=nn.ReLU(), outer=w_2))
        self.norm_self, self.norm_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, mask):  # [batch, source, width] to the same
        normed = self.norm_self(x)
        x = x + self.self_attention(normed, normed, mask)[0]
        return x + self.feed_forward(self.norm_feed_forward(x))


class DecoderLayer(EncoderLayer):
    """Self-attention over the target so far, cross-attention to the source, feed-forward."""

    def __init__(self, width, inner_width, heads):
        super().__init__(width, inner_width, heads)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.norm_cross = nn.LayerNorm(width)

    def forward(self, x, memory, target_mask, source_mask):  # x [batch, target, width] to the same
        normed = self.norm_self(x)
        x = x + self.self_attention(normed, normed, target_mask)[0]
        means, weights = self.cross_attention(self.norm_cross(x), memory, source_mask)
        x = x + means
        return x + self.feed_forward(self.norm_feed_forward(x)), weights


class Transformer(nn.Module):
    """Source and target piece ids to the logits of each next piece, one of the first `targets`."""

    def __init__(self, sizes, vocabulary, targets=None):
        super().__init__()
        width = sizes["width"]
        shape = width, sizes["feed_forward"], sizes["heads"]
        # Section 3.4: one matrix embeds source and target and, transposed, scores the next piece.
        self.output_weight = nn.Parameter(torch.randn(vocabulary, width) * width**-0.5)
        self.output_bias = nn.Parameter(torch.zeros(targets or vocabulary))
        for kind, layer in (("encoder_layers", EncoderLayer), ("decoder_layers", DecoderLayer)):
            setattr(self, kind, nn.ModuleList(layer(*shape) for _ in range(sizes[kind])))
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
        return self.output_weight[pieces] * math.sqrt(width) + positions  # section 3.4

    def encode(self, source):
        """Source [batch, source] to the memory [batch, source, width] and its mask."""
        mask = (source != PADDING)[:, None, None]  # [batch, 1, 1, source], False on <pad>
        x = self.embed(source)
        for layer in self.encoder_layers:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def decode(self, target, memory, source_mask):
        """Target [batch, target] to logits [batch, target, targets]; each layer's attention."""
        # Section 3.2.3: a position sees itself and those before, so neither its label nor <pad>.
        target_mask = torch.ones(2 * [target.size(1)], dtype=torch.bool).tril()
        x, attentions = self.embed(target), []
        for layer in self.decoder_layers:
            x, weights = layer(x, memory, target_mask, source_mask)
            attentions.append(weights)  # [batch, heads, target, source]
        scores = self.output_weight[: len(self.output_bias)].T  # [width, targets]
        return self.decoder_norm(x) @ scores + self.output_bias, attentions


# --- Loss: minus the logarithm of the next piece's probability ------------------------------------
def pad(sequences):
    """Lists of piece ids to one tensor [batch, longest], filled with <pad>, 0, on the right."""
    return nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True)


def loss_of(model, batch):
    """Mean cross-entropy; label smoothing (section 5.4) would pay after more passes."""
    source = pad([source + [END] for source, _ in batch])  # [batch, source]
    target = pad([[START, *target, END] for _, target in batch])  # [batch, target + 1]
    logits, _ = model.decode(target[:, :-1], *model.encode(source))  # all positions at once
    labels = target[:, 1:].flatten()  # each position's label is the piece after it
    return nn.functional.cross_entropy(logits.flatten(0, 1), labels, ignore_index=PADDING)


# --- Training: Muon for linear layers, Adam for the rest; the rate rises, then falls to zero ------
SIZES = {"encoder_layers": 3, "decoder_layers": 2, "width": 128, "feed_forward": 512, "heads": 4}
RATE, WARMUP = 6e-3, 50


def orthogonal(matrix):
    """The matrix with every singular value moved near to 1 (Jordan et al. 2024)."""
    tall = matrix.size(0) > matrix.size(1)  # keep x x^T small
    x = (matrix.T if tall else matrix) / matrix.norm().clamp(min=1e-7)
    for _ in range(5):  # each singular value s becomes 3.4445 s - 4.775 s^3 + 2.0315 s^5
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * (square @ square) - 4.775 * square) @ x
    return x.T if tall else x


def train(model, pairs, minutes, steps=None):
    """Train for `minutes`, or exactly `steps` steps; returns the steps."""
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    momenta = [torch.zeros_like(matrix) for matrix in matrices]
    rest = [w for w in model.parameters() if w.dim() == 1 or w is model.output_weight]
    adam = torch.optim.Adam(rest, betas=(0.9, 0.98))
    started, step, batches = time.monotonic(), 0, []
    while True:
        elapsed = (time.monotonic() - started) / 60
        spent = step / steps if steps else elapsed / minutes  # 0 to 1
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
        with torch.no_grad():  # Muon: along the orthogonal matrix nearest to the momentum
            for matrix, momentum in zip(matrices, momenta, strict=True):
                momentum.lerp_(matrix.grad, 0.05)  # a running mean of the gradients
                direction = orthogonal(matrix.grad.lerp(momentum, 0.95))  # Nesterov's look ahead
                # Steps of the size of Adam's (Liu et al. 2025, equation 4)
                matrix -= rate * 0.2 * math.sqrt(max(matrix.shape)) * direction
        if step % 100 == 0 or step == 20:
            print(f"step {step}, {elapsed:.1f} minutes: loss {loss.item():.3f}", flush=True)


# --- Beam search: keep the likeliest beginnings, extend each by every piece -----------------------
@torch.inference_mode()
def beam_search(model, source, forbidden=(PADDING, UNKNOWN, START), beam=3):
    """The best translation of piece ids `source`, as piece ids without <s> and </s>."""
    memory, mask = model.encode(torch.tensor([source + [END]]))  # [1, source, width]
    longest = min(2 * len(source) + 10, MAX_LENGTH - 1)
    # lp(Y) = (5 + |Y|) / (5 + 1) (Wu et al. 2016, equation 14, exponent 1); </s> counts in |Y|
    penalty = [(5 + length) / 6 for length in range(longest + 1)]
    live, finished = [(0.0, [START])], []  # (log-probability, pieces), best first
    for length in range(1, longest + 1):
        target = torch.tensor([pieces for _, pieces in live])  # [beam, length]
        logits, _ = model.decode(target, memory.expand(len(live), -1, -1), mask)
        scores = logits[:, -1].log_softmax(dim=-1)  # [beam, vocabulary]
        scores[:, forbidden] = -torch.inf
        scores += torch.tensor([score for score, _ in live])[:, None]
        # Twice as many as the beam: even if `beam` of them end, `beam` live ones remain.
        best, places = scores.flatten().topk(2 * beam)
        grown = []
        for score, place in zip(best.tolist(), places.tolist(), strict=True):
            parent, piece = divmod(place, scores.size(1))
            grown.append((score, live[parent][1] + [piece]))
        ended = [one for one in grown[:beam] if one[1][-1] == END or length == longest]
        finished += [(score / penalty[length], pieces) for score, pieces in ended]
        live = [(score, pieces) for score, pieces in grown if pieces[-1] != END][:beam]
        if len(finished) >= beam:
            break
    return [piece for piece in max(finished)[1][1:] if piece != END]


# --- Attention to words: from pieces to what a reader sees ----------------------------------------
def split_words(text):
    """(first, one past last) character of each word and punctuation mark."""
    # Python's \w lacks combining marks. Match instead: m for a mark, w for \w, the rest as it is.
    text = "".join("m" if category(c)[0] == "M" else re.sub(r"\w", "w", c) for c in text)
    return [m.span() for m in re.finditer(r"[wm]+(?:['’][wm]+)*|[^wm\s](?:m|\u200d[^wm\s])*", text)]


def shares(piece_spans, words):
    """Spans of pieces and words to [pieces, words]: the share of each piece that each word has."""
    matrix = torch.zeros(len(piece_spans), len(words))
    for row, (start, end) in zip(matrix, piece_spans, strict=True):
        over = [n for n, word in enumerate(words) if word[0] < end and word[1] > start]
        if not over:  # a bare space or leading byte leads to the next word
            over = [n for n, word in enumerate(words) if word[1] > start][:1] or [len(words) - 1]
        row[over] = 1 / len(over)
    return matrix


def usual(subwords, text):
    """What a truecased vocabulary reads: the first word in its likelier casing, ¿ and ¡ apart."""
    if subwords.piece_to_id("<truecased>") == UNKNOWN:
        return text
    score = [-99 if subwords.is_byte(n) else subwords.get_score(n) for n in range(len(subwords))]
    first = re.match(r"[\W_]*([^\W\d_][\w']*)", text)
    if first and first[1][1:] == first[1][1:].lower():
        forms = first[1].lower(), first[1].capitalize()
        best = max(forms, key=lambda form: sum(score[n] for n in subwords.encode(form)))
        text = text.replace(first[1], best, 1)
    return re.sub(r"([¿¡])(?=\S)", r"\1 ", text)


@torch.inference_mode()
def translate(model, subwords, layer, shown_heads, text):
    """Text, source and target words of the translation, attention [target, source words + 1]."""
    if not split_words(text := normalize("NFC", text)):
        return "", [], [], torch.zeros(0, 1)
    source = subwords.encode(read := usual(subwords, text), return_type="offset_mapping")
    placeholders = [n for n in range(len(subwords)) if category(subwords.id_to_piece(n)[0]) == "Co"]
    pieces = beam_search(model, source["ids"], [PADDING, UNKNOWN, START, *placeholders])
    target = subwords.decode(pieces, return_type="offset_mapping")
    memory, mask = model.encode(torch.tensor([source["ids"] + [END]]))
    # Row t reads piece t - 1, <s> at first, and writes piece t; the last writes </s> and is cut.
    _, attentions = model.decode(torch.tensor([[START, *pieces]]), memory, mask)
    attention = attentions[layer][0, shown_heads, :-1].mean(dim=0)  # [pieces, source pieces + 1]
    columns = shares(source["offsets"], split_words(read))
    rows = shares(target["offsets"], split_words(target["text"]))
    # Sum over a source word's pieces, mean over a target word's (Koehn and Knowles 2017, 3.5).
    over_words = torch.cat([attention[:, :-1] @ columns, attention[:, -1:]], dim=1)  # last: </s>
    matrix = (rows / rows.sum(dim=0)).T @ over_words
    sentence = re.sub(r"([¿¡]) ", r"\1", target["text"])
    if next(filter(str.isalpha, text), "").isupper():
        sentence = re.sub(r"\w", lambda letter: letter[0].upper(), sentence, count=1)
    words = [[t[start:end] for start, end in split_words(t)] for t in (text, sentence)]
    return sentence, *words, matrix


def draw(source, target, matrix):
    """The attention as text, source words downwards; shade k is a weight of k tenths or more."""
    shades, side, top = " .:-=+*#%@", max(map(len, target), default=0), [*source, "</s>"]
    height = max(map(len, top))
    lines = [" " * side + "".join(f"  {w.rjust(height)[n]}" for w in top) for n in range(height)]
    for word, row in zip(target, matrix.tolist(), strict=True):
        lines.append(word.rjust(side) + "".join("  " + shades[min(int(10 * p), 9)] for p in row))
    return "\n".join(lines)


# --- Files: a directory that the package opens too ------------------------------------------------
def save(directory, model, data, steps):
    """Write weights, configuration and metadata; subwords.model is there already."""
    header, content = {}, b""  # safetensors: header's length in 8 bytes, header as JSON, numbers
    for name, weight in model.named_parameters():
        start, content = len(content), content + weight.detach().numpy().tobytes()
        name = re.sub(r"\bnorm_(\w+)", r"around_\1.norm", name)  # the package's name for it
        header[name] = dict(dtype="F32", shape=[*weight.shape], data_offsets=[start, len(content)])
    head = json.dumps(header).encode()
    content = len(head).to_bytes(8, "little") + head + content
    (directory / "weights.safetensors").write_bytes(content)
    config = {"checkpoint": str(directory), "training": {"max_steps": steps}, "data": data}
    config |= {"model": SIZES | {"dropout": 0.0}, "alignment": {"head": False}}
    (directory / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    metadata = {"source": data["source"], "target": data["target"], "max_length": MAX_LENGTH}
    metadata |= {"decoding": {}, "alignment_layer": max(0, len(model.decoder_layers) - 2)}
    metadata["files"] = {p.name: sha256(p.read_bytes()).hexdigest() for p in directory.iterdir()}
    (directory / "metadata.json").write_text(json.dumps(metadata, indent=2))


def load(checkpoint):
    """Model, subwords, layer and its heads to show, of a directory or a shipped name."""
    shipped = Path(__file__).parent.parent / "checkpoints" / checkpoint
    directory = Path(checkpoint) if Path(checkpoint).is_dir() else shipped
    content = bytearray((directory / "weights.safetensors").read_bytes())
    weights, first = {}, 8 + int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8:first]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            dtype = {"F16": torch.float16, "F32": torch.float32}[entry["dtype"]]
            numbers = torch.frombuffer(content[first + start : first + end], dtype=dtype)
            name = re.sub(r"around_(\w+)\.norm", r"norm_\1", name)
            weights[name] = numbers.view(entry["shape"]).float()
    text = (directory / "config.yaml").read_text(encoding="utf-8")
    sizes = {key: int(re.search(rf"\b{key}\"?: (\d+)", text)[1]) for key in SIZES}
    model = Transformer(sizes, len(weights["output_weight"]), len(weights["output_bias"]))
    model.load_state_dict(weights)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    heads = metadata.get("alignment_heads") or list(range(sizes["heads"]))
    subwords = sentencepiece.SentencePieceProcessor(str(directory / "subwords.model"))
    return model, subwords, metadata["alignment_layer"], heads


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help="train on lines of source, tab, target")
    command.add_argument("pairs")
    command.add_argument("--minutes", type=float, default=5)
    command.add_argument("--steps", type=int, help="exactly so many steps, whatever time they take")
    command.add_argument("--languages", nargs=2, default=["en", "es"], metavar="CODE")
    command.add_argument("--output", type=Path, default="mine", help="a new directory")
    command = commands.add_parser("translate", help="translate a sentence, and show its attention")
    command.add_argument("text")
    command.add_argument("--checkpoint", default="tatoeba-en-es", help="directory or shipped name")
    given = parser.parse_args()
    if given.command == "translate":
        text, source, target, attention = translate(*load(given.checkpoint), given.text)
        print(text, draw(source, target, attention), sep="\n\n")
        return
    torch.manual_seed(1)
    random.seed(1)
    given.output.mkdir(parents=True)
    pairs = read_pairs(given.pairs)
    subwords = train_subwords(pairs, given.output / "subwords.model")
    encoded = [tuple(subwords.encode(list(pair))) for pair in pairs]
    encoded = [pair for pair in encoded if all(0 < len(ids) < MAX_LENGTH for ids in pair)]
    model = Transformer(SIZES, subwords.get_piece_size())
    source, target = given.languages
    data = {"source": source, "target": target, "corpus": "files", "train": given.pairs}
    save(given.output, model, data, train(model, encoded, given.minutes, given.steps))


if __name__ == "__main__":
    main()
