from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Call(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    def __init__(self, body: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    def __init__(self, body: _Optional[bytes] = ...) -> None: ...

class Asked(_message.Message):
    __slots__ = ("calls", "cancelled")
    class One(_message.Message):
        __slots__ = ("id", "service", "method", "body", "token")
        ID_FIELD_NUMBER: _ClassVar[int]
        SERVICE_FIELD_NUMBER: _ClassVar[int]
        METHOD_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        TOKEN_FIELD_NUMBER: _ClassVar[int]
        id: int
        service: str
        method: str
        body: bytes
        token: str
        def __init__(self, id: _Optional[int] = ..., service: _Optional[str] = ..., method: _Optional[str] = ..., body: _Optional[bytes] = ..., token: _Optional[str] = ...) -> None: ...
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[Asked.One]
    cancelled: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, calls: _Optional[_Iterable[_Union[Asked.One, _Mapping]]] = ..., cancelled: _Optional[_Iterable[int]] = ...) -> None: ...

class Answered(_message.Message):
    __slots__ = ("answers", "closing")
    class One(_message.Message):
        __slots__ = ("id", "body", "error")
        ID_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        id: int
        body: bytes
        error: bytes
        def __init__(self, id: _Optional[int] = ..., body: _Optional[bytes] = ..., error: _Optional[bytes] = ...) -> None: ...
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[Answered.One]
    closing: bool
    def __init__(self, answers: _Optional[_Iterable[_Union[Answered.One, _Mapping]]] = ..., closing: _Optional[bool] = ...) -> None: ...
