"""The configuration of a run: a tree of settings, and the YAML files that hold it."""

from nmt.config.loading import apply_override, dump_config, load_config, parse_config
from nmt.config.tree import (
    AlignerConfig,
    AugmentConfig,
    DataConfig,
    DecodingConfig,
    RunConfig,
    TrainingConfig,
    describe_keys,
)

__all__ = [
    "AlignerConfig",
    "AugmentConfig",
    "DataConfig",
    "DecodingConfig",
    "RunConfig",
    "TrainingConfig",
    "apply_override",
    "describe_keys",
    "dump_config",
    "load_config",
    "parse_config",
]
