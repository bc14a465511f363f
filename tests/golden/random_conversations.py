"""Random conversations: those that a template expects, and those that its makers did not think of."""
import random

from make_chat_golden import TOOLS

CONTENTS = ["Hello", "", " ", "\n", "  What is 2 + 2?\n", "日本語 😀 é", "<b>\"x\" & 'y'</b>", "<think>\nHm.\n</think>\n\n4", "a</think>b</think>c", "<think>x",
            "<tool_response>\n7\n</tool_response>", "{{ n }} {% if %}", "\\n \\ \t", "a\r\nb", "\u2028\u0000\u007f", "[INST] x [/INST]", "{\"celsius\": 21.5}", "7",
            "<|channel|>final<|message|>x", None, 5, 2.5, True, [], {}, ["a", "b"], {"content": "inner", "n": 1},
            [{"type": "text", "text": " part é "}], [{"type": "text", "text": "see"}, {"type": "image"}, {"type": "image_url", "image_url": "x"}], [{"type": "audio"}]]
ROLES = ["user", "assistant", "system", "tool", "developer", "ipython", "tool_results", "function", "", "User", "é", None]
ARGUMENTS = [{"place": "Ulm é", "days": 2}, {}, {"a": None, "b": True, "c": [1, 2.5, 1e20, "x"], "d": {"e": "\"<\n"}}, "{\"place\": \"Ulm\"}", "", None, [1]]


class RandomConversation:
    """The same seed and number give the same variables."""

    def __init__(self, seed, number):
        self.random = random.Random(seed * 1000003 + number)

    def pick(self, items):
        return self.random.choice(items)

    def chance(self, one_in):
        return self.random.randrange(one_in) == 0

    def content(self):
        return self.pick(CONTENTS) if self.chance(4) else self.pick(CONTENTS[:16])

    def call(self):
        call = {"id": self.pick(["abcdefghi", "123456789", "call_1"]), "type": "function",
                "function": {"name": self.pick(["weather", "add", "search"]), "arguments": self.pick(ARGUMENTS) if self.chance(2) else ARGUMENTS[0]}}
        return call["function"] if self.chance(12) else call

    def called(self):
        made = {"role": "assistant", "content": self.content() if self.chance(2) else self.pick(["", None]), "tool_calls": [self.call() for _ in range(self.pick([1, 1, 1, 2, 3, 0]))]}
        if self.chance(6):
            del made["content"]
        return made

    def answered(self):
        made = {"role": self.pick(["tool", "tool", "tool", "ipython"]), "content": self.content()}
        if not self.chance(3):
            made["tool_call_id"] = "abcdefghi"
        if self.chance(2):
            made["name"] = "weather"
        return made

    def assistant(self):
        made = {"role": "assistant", "content": self.content()}
        if self.chance(5):
            made[self.pick(["reasoning_content", "thinking", "thought"])] = self.pick(["I know", "\nI know\n", "", None])
        if self.chance(10):
            made["tool_calls"] = self.pick([None, []])
        return made

    def odd(self):
        made = {"role": self.pick(ROLES), "content": self.content()}
        if self.chance(8):
            del made[self.pick(["role", "content"])]
        return made

    def messages(self):
        made = []
        if self.chance(2):
            made.append({"role": self.pick(["system", "system", "developer"]), "content": self.content()})
            if self.chance(6):
                made[0]["tools"] = self.pick([TOOLS, "[]", None])
        for _ in range(self.random.randrange(4)):
            made.append({"role": "user", "content": self.content()})
            if self.chance(3):
                made.append(self.called())
                made.extend(self.answered() for _ in range(self.random.randrange(3)))
            if not self.chance(4):
                made.append(self.assistant())
        if self.chance(5):
            made.insert(self.random.randrange(len(made) + 1), self.odd())
        return made

    def variables(self):
        made = {"messages": self.messages(), "add_generation_prompt": self.chance(2), "bos_token": self.pick(["<s>", "<|begin_of_text|>", "", "<bos>"]), "eos_token": self.pick(["</s>", "<|im_end|>"])}
        tools = self.pick([None, None, [], TOOLS, TOOLS[:1], TOOLS, "absent"])
        if tools != "absent":
            made["tools"] = tools
        for name, values in {"enable_thinking": [True, False, None], "date_string": ["1 May 2025"], "builtin_tools": [["search", "code_interpreter", "weather"], []], "custom_tools": [TOOLS[1:]],
                             "tools_in_user_message": [False, True], "documents": [None, [{"title": "T", "text": "é"}, {"text": 5}], []], "controls": [{"length": "long"}, {"citations": True}, None],
                             "reasoning_effort": ["high"], "add_vision_id": [True], "unk_token": [None], "pad_token": ["<pad>"]}.items():
            if self.chance(5):
                made[name] = self.pick(values)
        return made
