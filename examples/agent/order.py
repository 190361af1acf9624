"""What the agent says: sentences of the caller in, answers out. No audio, no call, no model."""

from __future__ import annotations

import re
from typing import Final, Literal

from attrs import define, field

__all__ = ["EXPECTED", "GREETING", "Counter", "Next", "grammar", "in_words", "items"]

#: What can be ordered, with the plural.
DISHES: Final = {"coffee": "coffees", "tea": "teas", "soup": "soups", "sandwich": "sandwiches"}
#: Numbers as recognizers write them.
NUMBERS: Final = dict.fromkeys(("a", "an", "another"), 1) | {
    word: number
    for number, name in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
    for word in (name, str(number))
}
GREETING: Final = "This is the corner cafe. We have coffee, tea, soup and sandwiches. What would you like?"
#: Words that callers use, for recognizers that can be given a text to expect.
EXPECTED: Final = (
    "A cafe takes an order: two coffees, one tea, three soups, a sandwich. Yes, please. No, thank you. I would like"
    " to talk to a person."
)
#: How often in a row the agent asks again before it gives up and connects the caller to a person.
ATTEMPTS: Final = 3

#: What the program does after an answer: listen to the caller, connect the caller to a person, or hang up.
Next = Literal["listen", "connect", "hang up"]
_SINGULAR: Final = {word: dish for dish, plural in DISHES.items() for word in (dish, plural)}
_PERSON: Final = re.compile(r"\b(person|human|somebody|someone|agent|operator|colleague)\b")
_NO: Final = re.compile(r"\b(no|nope|nothing|wrong|that is all|that's all|that will be all|not right)\b")
_YES: Final = re.compile(r"\b(yes|yeah|yep|right|correct|okay|sure)\b")


def items(text: str) -> dict[str, int]:
    """Return the dishes in a sentence and how many of each: ``{"coffee": 2}`` for "Two coffees, please."."""
    found: dict[str, int] = {}
    count = 1
    for word in re.findall(r"[a-z]+|\d+", text.lower()):
        if word in NUMBERS:
            count = NUMBERS[word]
        elif word in _SINGULAR:
            dish = _SINGULAR[word]
            found[dish] = found.get(dish, 0) + count
            count = 1
    return found


def in_words(order: dict[str, int]) -> str:
    """Return an order as the agent says it: "two coffees and one tea"."""
    number = {count: word for word, count in NUMBERS.items() if word.isalpha()}
    parts = [f"{number.get(count, count)} {dish if count == 1 else DISHES[dish]}" for dish, count in order.items()]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def grammar() -> str:
    """Return all sentences that the agent understands, as a JSGF grammar for recognizers that need one."""
    more = " | ".join(word for word, number in NUMBERS.items() if word.isalpha() and number > 1)
    return (
        "#JSGF V1.0;\ngrammar order;\n"
        "public <sentence> = <order> | <yes> | <no> | <person>;\n"
        f"<item> = (a | one) ({' | '.join(DISHES)}) | ({more}) ({' | '.join(DISHES.values())});\n"
        "<order> = [yes] [i would like | i want] <item> [and <item>] [and <item>] [please];\n"
        "<yes> = yes [please] | yes that is right;\n"
        "<no> = no [thank you] | no that is all | that is all | that is wrong;\n"
        "<person> = [i would like to | can i] (speak | talk) to a person [please] | a person please;\n"
    )


@define(eq=False)
class Counter:
    """The person behind the counter: takes one order.

    :ivar order: what the caller wants: dishes, and how many of each.
    :ivar next: what the program does after the last answer.
    """

    order: dict[str, int] = field(factory=dict, init=False)
    next: Next = field(default="listen", init=False)
    _asked: Literal["order", "more", "confirm"] = field(default="order", init=False)
    _failures: int = field(default=0, init=False)

    def answer(self, text: str) -> str:
        """Return what the agent says to a sentence of the caller.

        :param text: the sentence; ``""`` if the caller said nothing.
        """
        words, found = text.lower(), items(text)
        if _PERSON.search(words):
            return self._hand_over()
        if not found and not _YES.search(words) and not _NO.search(words):
            return self._ask_again(text)
        self._failures = 0
        if found:
            return self._add(found)
        if _NO.search(words):
            return self._no()
        return self._yes()

    def keep(self) -> str:
        """Continue to take the order, because no person is free. Return what the agent says."""
        self.next, self._failures, self._asked = "listen", 0, "order"
        return "I am sorry, my colleagues are busy. I can take your order. What would you like?"

    def _add(self, found: dict[str, int]) -> str:
        for dish, count in found.items():
            self.order[dish] = self.order.get(dish, 0) + count
        self._asked = "more"
        return f"{in_words(found).capitalize()}. Would you like anything else?"

    def _no(self) -> str:
        if self._asked == "confirm":
            self.order.clear()
        if not self.order:
            self._asked = "order"
            return "All right. What would you like to order?"
        self._asked = "confirm"
        return f"You have ordered {in_words(self.order)}. Is that right?"

    def _yes(self) -> str:
        if self._asked != "confirm":
            return "What would you like?"
        self.next = "hang up"
        return "Thank you. Your order will be ready in ten minutes. Goodbye."

    def _ask_again(self, text: str) -> str:
        self._failures += 1
        if self._failures >= ATTEMPTS:
            return self._hand_over()
        return "Sorry, I did not understand that. What would you like?" if text else "Are you still there?"

    def _hand_over(self) -> str:
        self.next = "connect"
        return "One moment, please. I am connecting you with a colleague."
