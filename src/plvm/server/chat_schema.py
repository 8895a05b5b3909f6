"""What `/v1/chat/completions` takes and gives, as OpenAI has it, with a few fields of ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from plvm.server.messages import Message, Part
from plvm.server.refusals import Refusal

PIXEL = "data:image/png;base64,iVBORw0KGgo..."


class Strict(BaseModel):
    """A body whose unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", strict=False)


class ImageUrl(Strict):
    """Where a picture is: a data URI, or the id of an uploaded file. Addresses on the network are not fetched."""

    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"


class FileId(Strict):
    """An uploaded file."""

    file_id: str
    filename: str | None = None


class TextPart(Strict):
    """Words."""

    type: Literal["text"]
    text: str


class ImagePart(Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


class FilePart(Strict):
    """A picture that was uploaded before."""

    type: Literal["file"]
    file: FileId


Piece = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]


class MessageIn(Strict):
    """A message. What `system` and `developer` say is not read: the model was taught no such thing."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Piece]
    name: str | None = None
    refusal: str | None = None

    def read(self, number: int) -> Message:
        """It as the dialogue has it; `number` is its place."""
        where = f"messages[{number}].content"
        if isinstance(self.content, str):
            return Message(self.role, (Part(self.content, where=where),))
        parts = []
        for i, piece in enumerate(self.content):
            at = f"{where}[{i}]"
            if isinstance(piece, TextPart):
                parts.append(Part(piece.text, where=at))
            elif self.role != "user":
                raise Refusal(400, "invalid_request", f"The {self.role} cannot send pictures.", "Only the user can.", param=at)
            elif isinstance(piece, ImagePart):
                parts.append(Part(picture=piece.image_url.url, where=f"{at}.image_url.url"))
            else:
                parts.append(Part(picture=piece.file.file_id, where=f"{at}.file.file_id"))
        return Message(self.role, tuple(parts))


class GuestIn(Strict):
    """Somebody who is known in this request alone, and kept nowhere."""

    name: str = Field(min_length=1, max_length=80)
    images: list[str] = Field(min_length=1, max_length=16)


class StreamOptions(Strict):
    """What a stream ends with."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(Strict):
    """Plain text is all there is."""

    type: Literal["text"]


class ChatRequest(Strict):
    """A question, with everything that was said before it.

    `concepts` is ours: people who come with the request ({name, images}) and names of stored ones who shall be known although
    no message names them. `strict_names` refuses a `<name>` that nobody has (false: it is plain text). `names` says how people
    are written in answers: as they are called, or as the model's words, `<billie>`.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": "mini",
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "image_url", "image_url": {"url": PIXEL}},
                                {"type": "text", "text": "Where is Billie?"},
                            ],
                        }
                    ],
                    "concepts": [{"name": "Billie", "images": [PIXEL]}],
                }
            ]
        },
    )

    model: str
    messages: list[MessageIn] = Field(min_length=1, max_length=512)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: Literal[1] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    concepts: list[GuestIn | str] = Field(default=[], max_length=64)
    strict_names: bool = True
    names: Literal["shown", "words"] = "shown"

    # Clients always send these, and they change no answer of this model.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None
    # These are taken only where they ask for what happens anyway.
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    reasoning_effort: Literal["none", "minimal"] | None = None


class TokenDetails(BaseModel):
    """How many of the prompt's tokens were there already."""

    cached_tokens: int


class Usage(BaseModel):
    """How many tokens there were."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: TokenDetails


class Ours(BaseModel):
    """What OpenAI has no field for. `unlike`: how unlike the training the picture is (0 not at all, above 1 more than the limit,
    null: nobody can tell); `warning` says so in words. `names` are the words of those whom the answer mentions, `concepts` of
    those who were in the prompt; `ignored` are the messages that were not read."""

    unlike: float | None = None
    warning: str | None = None
    names: list[str] = []
    concepts: list[str] = []
    ignored: list[str] = []


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The one answer there is."""

    index: int = 0
    message: AssistantMessage
    logprobs: dict[str, Any] | None = None
    finish_reason: Literal["stop", "length"]


class ChatResponse(BaseModel):
    """An answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    plvm: Ours
