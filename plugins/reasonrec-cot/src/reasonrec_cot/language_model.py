"""Which language model a policy asks: one that transformers runs here, or one that a server runs."""

from __future__ import annotations

from functools import cached_property

from reasonrec_core.errors import PluginError
from reasonrec_cot.answers.chat_likelihood import ChatLikelihood
from reasonrec_cot.answers.likelihood import CandidateScorer, Likelihood
from reasonrec_cot.answers.server_likelihood import ServerLikelihood
from reasonrec_cot.backbone.chat_model import ChatModel, ChatTurns
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.served_model import ServedModel
from reasonrec_cot.backbone.server_client import Bill
from reasonrec_cot.backbone.server_model import ServerModel
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.config import CotConfig
from reasonrec_cot.items.soft_tokens import SoftItems
from reasonrec_cot.server_config import ServerConfig


class WithLanguageModel:
    """A component with these settings, the model that they name, and what that model costs."""

    config: CotConfig

    @cached_property
    def model(self) -> Backbone | ServerModel | ChatModel:
        """The language model; loaded, or its server asked for its name, when it is first needed."""
        return load_model(self.config)

    @property
    def backbone(self) -> Backbone:
        """The model, where it runs here."""
        if isinstance(self.model, ServedModel):
            raise PluginError("the language model runs on a server: its weights are not here")
        return self.model

    def remember_requests(self, wanted: bool) -> None:
        """Whether texts that are read and written are kept for the next ones; what a server keeps is its own affair."""
        self.model.remember_requests(wanted)

    @property
    def bill(self) -> Bill | None:
        """What the server was asked so far; None without a server."""
        return self.model.client.bill if isinstance(self.model, ServedModel) else None

    @property
    def spent(self) -> float | None:
        """What the server's answers cost so far, in ``currency``; None without a server or prices."""
        if self.config.server is None or self.bill is None:
            return None
        used = self.bill.usage
        return self.config.server.cost(used.read + used.reused, used.written)

    @property
    def currency(self) -> str:
        """That of ``spent``; "" where the settings name none."""
        return "" if self.config.server is None else self.config.server.currency


def load_model(config: CotConfig) -> Backbone | ServerModel | ChatModel:
    """The model that the settings name.

    Raises:
        WeightsError: there are no weights, or no tokenizer.
        ConfigError: the server has no such model, or a key would be sent unencrypted.
        PluginError: the server does not answer.
    """
    if config.server is None:
        return Backbone(config.backbone)
    return ChatModel(config.server) if config.server.api == "chat" else ServerModel(config.server, config.backbone)


def make_writer(model: Backbone | ServerModel | ChatModel, soft: SoftItems | None) -> DialogueTokeniser | ChatTurns:
    """What writes dialogues as this model reads them."""
    if isinstance(model, ChatModel):
        return ChatTurns()
    return DialogueTokeniser(model.tokenizer, *(() if soft is None else (soft.per_item, soft.has)))


def make_scorer(
    model: Backbone | ServerModel | ChatModel, writer: DialogueTokeniser | ChatTurns, config: CotConfig
) -> CandidateScorer:
    """What compares listed candidates."""
    if isinstance(model, ChatModel) or isinstance(writer, ChatTurns):
        assert isinstance(model, ChatModel)
        return ChatLikelihood(model, config.temperature)
    if isinstance(model, ServerModel):
        return ServerLikelihood(model, writer, config.length_power, config.temperature)
    return Likelihood(model, writer, config.length_power, config.temperature)


def list_special_tokens(model: Backbone | ServerModel | ChatModel) -> tuple[str, ...]:
    """Of the tokenizer, which item text must not hold; a chat's tokenizer is not here, and not known."""
    return () if isinstance(model, ChatModel) else tuple(model.tokenizer.all_special_tokens)


def identify_model(model: Backbone | ServerModel | ChatModel) -> str:
    """The hash of the weights; of a server's model the name, which is all that it says of them."""
    return f"server: {model.name}" if isinstance(model, ServedModel) else model.weights.sha256


def describe_cost(server: ServerConfig | None, usage: Usage, requests: int) -> str:
    """What a server's answers to ``requests`` took, per request, in words that follow others; "" without a server."""
    if server is None or not requests:
        return ""
    read, written = (usage.read + usage.reused) / requests, usage.written / requests
    said = f"; {read:,.0f} tokens read and {written:,.0f} written by the server"
    cost = server.cost(read, written)
    if cost is None:
        return said
    amount = f"{cost * 1000:,.4g} {server.currency}".strip()
    return f"{said}, which costs {amount} per 1,000 requests"
