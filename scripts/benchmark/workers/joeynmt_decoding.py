"""Contestant: JoeyNMT's `predict` over a file, text to text, with our weights. Runs in the peers' environment.

Arguments: its configuration as JSON, and our weights as an .npz file. Normalisation's epsilon, 1e-6 in JoeyNMT and
1e-5 here, is set to ours, and its output layer is given our bias, which it has none of.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import time

import numpy as np
import torch
from joeynmt.config import parse_global_args
from joeynmt.data import load_data
from joeynmt.model import build_model
from joeynmt.prediction import predict
from pace import serve


def load_weights(model, weights):
    """Our arrays into JoeyNMT's modules."""

    def copy(module, name, rows=slice(None)):
        module.weight.copy_(torch.from_numpy(weights[f"{name}.weight"][rows]))
        module.bias.copy_(torch.from_numpy(weights[f"{name}.bias"][rows]))

    def attention(module, name):
        width = module.output_layer.weight.shape[0]
        copy(module.q_layer, f"{name}.query")
        copy(module.k_layer, f"{name}.key_value", slice(0, width))
        copy(module.v_layer, f"{name}.key_value", slice(width, None))
        copy(module.output_layer, f"{name}.output")

    def feed_forward(module, name):
        copy(module.layer_norm, f"{name}.around_feed_forward.norm")
        copy(module.pwff_layer[0], f"{name}.feed_forward.inner")
        copy(module.pwff_layer[3], f"{name}.feed_forward.outer")

    # JoeyNMT's vocabulary begins with <unk> <pad>, ours with <pad> <unk>.
    order = np.arange(len(weights["output_weight"]))
    order[:2] = 1, 0
    with torch.no_grad():
        model.src_embed.lut.weight.copy_(torch.from_numpy(weights["output_weight"][order]))
        model.decoder.output_layer.bias = torch.nn.Parameter(torch.from_numpy(weights["output_bias"][order]))
        for side, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
            copy(stack.layer_norm, f"{side}_norm")
            for number, layer in enumerate(stack.layers):
                name = f"{side}_layers.{number}"
                if side == "encoder":
                    copy(layer.layer_norm, f"{name}.around_self.norm")
                    attention(layer.src_src_att, f"{name}.self_attention")
                else:
                    copy(layer.x_layer_norm, f"{name}.around_self.norm")
                    copy(layer.dec_layer_norm, f"{name}.around_cross.norm")
                    attention(layer.trg_trg_att, f"{name}.self_attention")
                    attention(layer.src_trg_att, f"{name}.cross_attention")
                feed_forward(layer.feed_forward, name)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-5


def main():
    """Translate the test file whenever asked."""
    config = json.loads(sys.argv[1])
    torch.set_num_threads(config.pop("threads"))
    args = parse_global_args(config, rank=0, mode="train")
    source, target, _, _, data = load_data(cfg=args.data, datasets=["test"])
    model = build_model(config["model"], source, target)
    load_weights(model, dict(np.load(sys.argv[2])))
    model.eval()

    def work(_request):
        started = time.perf_counter()
        found = predict(
            model=model,
            data=data,
            device=args.device,
            n_gpu=0,
            compute_loss=False,
            normalization="none",
            args=args.test,
            autocast=args.autocast,
        )
        return {"seconds": time.perf_counter() - started, "sentences": len(found[2]), "texts": found[2]}

    serve(work)


if __name__ == "__main__":
    main()
