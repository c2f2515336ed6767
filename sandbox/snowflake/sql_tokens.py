"""SQL text cut into tokens, and a reader over them that parsers share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from sandbox.snowflake import errors
from sandbox.snowflake.statements import Value

PATTERN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^'\\]|''|\\.)*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
      | (?P<sign>=>|<>|!=|[=;(),.*<>?:])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of SQL and where it stands."""

    kind: str
    text: str
    start: int


def tokenize(sql: str) -> list[Token]:
    """Cut the text; what is no token at all is a syntax error."""
    tokens = []
    position = 0
    while position < len(sql):
        match = PATTERN.match(sql, position)
        if match is None:
            raise _syntax_error(sql, position, sql[position])
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), position))
        position = match.end()
    return tokens


def _syntax_error(sql: str, start: int, seen: str) -> errors.SnowflakeError:
    line = sql.count("\n", 0, start) + 1
    return errors.syntax_error(line, start - (sql.rfind("\n", 0, start) + 1), seen)


class Reader:
    """Tokens, read one after the other. Keywords are given in capitals."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self.sql = sql
        self._tokens = tokens
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether all was read."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """What comes, keywords in capitals; empty at the end."""
        if self._at + ahead >= len(self._tokens):
            return ""
        token = self._tokens[self._at + ahead]
        return token.text.upper() if token.kind in {"word", "sign"} else f"<{token.kind}>"

    def accept(self, *texts: str) -> bool:
        """Read these keywords or signs if they come next, all of them."""
        if [self.peek(ahead) for ahead in range(len(texts))] != list(texts):
            return False
        self._at += len(texts)
        return True

    def expect(self, *texts: str) -> None:
        """Read these keywords or signs, or refuse."""
        for text in texts:
            if not self.accept(text):
                self.fail()

    def expect_end(self) -> None:
        """Refuse what is left over."""
        if not self.at_end:
            self.fail()

    def fail(self) -> NoReturn:
        """Refuse the token that comes."""
        if self.at_end:
            raise _syntax_error(self.sql, len(self.sql), "<EOF>")
        raise _syntax_error(self.sql, self._tokens[self._at].start, self._tokens[self._at].text)

    def identifier(self) -> str:
        """An identifier as Snowflake stores it: in capitals unless it stands in double quotes."""
        token = self._take("word", "quoted")
        return token.text.upper() if token.kind == "word" else token.text[1:-1].replace('""', '"')

    def literal(self) -> Value:
        """A string, a number or a boolean."""
        if self.accept("TRUE"):
            return True
        if self.accept("FALSE"):
            return False
        token = self._take("string", "number")
        if token.kind == "string":
            return re.sub(r"\\(.)|''", lambda match: match[1] or "'", token.text[1:-1])
        if "." in token.text:
            self._at -= 1
            self.fail()
        return int(token.text)

    def text_since(self, mark: int) -> str:
        """The SQL from a mark to what was read last."""
        last = self._tokens[self._at - 1]
        return self.sql[self._tokens[mark].start : last.start + len(last.text)]

    @property
    def mark(self) -> int:
        """Where we are."""
        return self._at

    def _take(self, *kinds: str) -> Token:
        if self.at_end or self._tokens[self._at].kind not in kinds:
            self.fail()
        self._at += 1
        return self._tokens[self._at - 1]
