"""Which language model a policy asks: one that transformers runs here, or one that a server runs."""

from __future__ import annotations

from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.server_model import ServerModel
from reasonrec_cot.config import CotConfig
from reasonrec_cot.server_config import ServerConfig


def load_model(config: CotConfig) -> Backbone | ServerModel:
    """The model that the settings name.

    Raises:
        WeightsError: there are no weights, or no tokenizer.
        ConfigError: the server has no such model, or a key would be sent unencrypted.
        PluginError: the server does not answer.
    """
    return Backbone(config.backbone) if config.server is None else ServerModel(config.server, config.backbone)


def identify_model(model: Backbone | ServerModel) -> str:
    """The hash of the weights; of a server's model the name, which is all that it says of them."""
    return f"server: {model.name}" if isinstance(model, ServerModel) else model.weights.sha256


def describe_cost(server: ServerConfig | None, usage: Usage, requests: int) -> str:
    """What a server's answers to ``requests`` took, per request, in words that follow others; "" without a server."""
    if server is None or not requests:
        return ""
    read, written = (usage.read + usage.reused) / requests, usage.written / requests
    said = f"; {read:,.0f} tokens read and {written:,.0f} written by the server"
    if server.price_read is None and server.price_written is None:
        return said
    cost = (read * (server.price_read or 0.0) + written * (server.price_written or 0.0)) / 1e6
    return f"{said}, which costs {cost * 1000:,.4g} per 1,000 requests"
