from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VectorReference(_message.Message):
    __slots__ = ("protocol", "study", "round", "attempt", "owner", "label")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    study: str
    round: int
    attempt: int
    owner: str
    label: str
    def __init__(self, protocol: _Optional[int] = ..., study: _Optional[str] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., owner: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("vector", "digests")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    vector: VectorReference
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, vector: _Optional[_Union[VectorReference, _Mapping]] = ..., digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MissingChunks(_message.Message):
    __slots__ = ("positions",)
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, positions: _Optional[_Iterable[int]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("vector", "position", "content")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    vector: VectorReference
    position: int
    content: bytes
    def __init__(self, vector: _Optional[_Union[VectorReference, _Mapping]] = ..., position: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...

class UploadSummary(_message.Message):
    __slots__ = ("accepted", "already_held")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ALREADY_HELD_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    already_held: int
    def __init__(self, accepted: _Optional[int] = ..., already_held: _Optional[int] = ...) -> None: ...

class ChunkRequest(_message.Message):
    __slots__ = ("vector", "positions")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    vector: VectorReference
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, vector: _Optional[_Union[VectorReference, _Mapping]] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...
