"""A relay, people in terminals, and the desktop companion as whoever can't see it has it: by names."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from queue import Queue

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("DESKTOP_BIN", ROOT / "target" / "debug"))
# What has not come by then never comes: tests wait for things, and not for times.
PATIENCE = 60
LOOK_AGAIN = 0.05
FIELDS = ["text", "entry", "password text"]

Atspi.init()
# A program that is busy is not gone.
Atspi.set_timeout(20_000, 20_000)


def until(what, look):
    """What `look` gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come")
        time.sleep(LOOK_AGAIN)


class Relay:
    """A relay of this build. Started again, it has the same port."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, 0, None
        self.start()

    def start(self):
        command = [BIN / "sync-server", "--listen", f"127.0.0.1:{self.port}", "--data", self.folder]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1"}
        )
        for line in self.process.stdout:
            found = re.search(r"listening.*?127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        else:
            raise AssertionError("the relay does not listen")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


class Chat:
    """Somebody at a terminal: `chat rpc`."""

    def __init__(self, folder, relay):
        command = [BIN / "chat", "--data", folder, "--relay", relay.url, "rpc"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answers, self.news, self.last = {}, [], 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "method" in message:
                self.news.append(message)
            else:
                self.answers[message["id"]].put(message)

    def call(self, method, **params):
        self.last += 1
        queue = self.answers[self.last] = Queue()
        request = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = queue.get(timeout=PATIENCE)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def heard(self, method):
        """The newest notification of a kind, once there is one."""
        return until(method, lambda: next((n["params"] for n in reversed(self.news) if n["method"] == method), None))

    def create(self, address, name):
        made = self.call("account.create", address=address, name=name)
        self.call("sync.wait", until="stored", timeout_ms=60000)
        return made

    def texts(self, conversation):
        return [m["text"] for m in self.call("message.list", conversation=conversation)]

    def until_text(self, conversation, text):
        return until(
            f"{text!r} at the terminal",
            lambda: next((m for m in self.call("message.list", conversation=conversation) if m["text"] == text), None),
        )

    def invited(self, title):
        """The conversation of a title, accepted."""
        find = lambda: next((c for c in self.call("conversation.list") if c["title"] == title), None)
        found = until(f"the conversation {title!r}", find)
        if found["pending"]:
            self.call("conversation.accept", conversation=found["conversation"])
        return found["conversation"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Window:
    """The desktop companion, read and used by names and roles."""

    def __init__(self, folder, relay, *arguments, env=None):
        self.folder, self.relay, self.env = Path(folder), relay, env or {}
        self.config = self.folder.parent / f"{self.folder.name}-config"
        self.process = None
        self.start(*arguments)

    def start(self, *arguments):
        # Which keyring there is on a machine that tests is of no account, but to the tests of that.
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.config), "DESKTOP_KEYRING": "none", **self.env}
        command = [BIN / "rejoinder-desktop", "--data", self.folder]
        if self.relay:
            command += ["--relay", self.relay.url]
        self.process = subprocess.Popen([*command, *arguments], env=env)
        return self

    def again(self, *arguments):
        """Starts it once more beside the one that runs; gives how that ended."""
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.config), "DESKTOP_KEYRING": "none", **self.env}
        command = [BIN / "rejoinder-desktop", "--data", self.folder, "--relay", self.relay.url, *arguments]
        return subprocess.run(command, env=env, timeout=PATIENCE).returncode

    def must_run(self):
        """Fails at once where the program has ended by itself: nothing comes any more."""
        code = self.process.poll()
        if code is not None:
            raise RuntimeError(f"the program ended with {code} (negative: by that signal)")

    def application(self):
        desktop = Atspi.get_desktop(0)
        desktop.clear_cache()
        for at in range(desktop.get_child_count()):
            try:
                child = desktop.get_child_at_index(at)
                if child and child.get_process_id() == self.process.pid:
                    return child
            except GLib.Error:
                pass
        return None

    def nodes(self, of=None):
        """Everything that is shown, from the last window to the first."""
        of = of or self.application()
        if of is None:
            self.must_run()
            return
        try:
            of.clear_cache()
            is_application = of.get_role() == Atspi.Role.APPLICATION
            count = of.get_child_count()
        except GLib.Error:
            return
        for at in reversed(range(count)) if is_application else range(count):
            try:
                child = of.get_child_at_index(at)
                if child is None or not child.get_state_set().contains(Atspi.StateType.VISIBLE):
                    continue
            except GLib.Error:
                # It is gone since it was counted.
                continue
            yield child
            yield from self.nodes(child)

    def look(self, name, role=None):
        fits = name.fullmatch if isinstance(name, re.Pattern) else lambda text: text == name
        for node in self.nodes():
            try:
                if fits(node.get_name() or "") and (role is None or node.get_role_name() == role):
                    return node
            except GLib.Error:
                continue
        return None

    def find(self, name, role=None):
        """What bears a name, once it is there."""
        try:
            return until(f"{name!r}", lambda: self.look(name, role))
        except AssertionError as missing:
            raise AssertionError(f"{missing}; there is:\n{self.tree()}") from None

    def gone(self, name, role=None):
        until(f"the end of {name!r}", lambda: self.look(name, role) is None)

    def says(self, text):
        """Waits until something of which a text is a part is shown or read aloud."""
        return self.find(re.compile(f".*{re.escape(text)}.*", re.S))

    def press(self, name, role=None):
        node = self.find(name, role)
        until(f"{name!r} to be ready", lambda: node.get_state_set().contains(Atspi.StateType.SENSITIVE))
        self.act(node)
        return node

    def act(self, node):
        """Does what the thing is for: by its action, or where it has none (lines of a list), by the pointer."""
        if node.get_n_actions() > 0:
            node.do_action(0)
        else:
            self.click(node)

    def click(self, node, button=1):
        place = until("its place", lambda: self._place(node))
        x, y = place.x + place.width // 2, place.y + place.height // 2
        window = self.window()
        command = ["xdotool", "mousemove", "--sync", "--window", window, str(x), str(y), "click", str(button)]
        subprocess.run(command, check=True)

    def answer(self, word):
        """Answers a question: its buttons are called by their words, and once more by their mnemonics."""
        self.press(f"{word} {word}", "push button")

    @staticmethod
    def _place(node):
        node.clear_cache()
        place = node.get_extents(Atspi.CoordType.WINDOW)
        return place if place.width > 0 and place.height > 0 else None

    def key(self, *keys):
        """Presses keys, in the window that is in front."""
        subprocess.run(["xdotool", "windowfocus", "--sync", self.window()], check=True)
        for key in keys:
            subprocess.run(["xdotool", "key", "--clearmodifiers", key], check=True)

    def reach(self, name):
        """Goes on by the keyboard until something of that name has the focus."""
        for _ in range(80):
            named = (node for node in self.nodes() if node.get_name() == name)
            if any(node.get_state_set().contains(Atspi.StateType.FOCUSED) for node in named):
                return
            self.key("Tab")
        raise AssertionError(f"no key leads to {name!r}; there is:\n{self.tree()}")

    def window(self):
        """The X window that was opened last."""
        command = ["xdotool", "search", "--onlyvisible", "--pid", str(self.process.pid)]
        find = lambda: subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split()
        return until("the window", find)[-1]

    def switch(self, name):
        """Changes a switch or a check box, and waits until it has changed."""
        is_on = lambda: self.find(name, "check box").get_state_set().contains(Atspi.StateType.CHECKED)
        before = is_on()
        self.press(name, "check box")
        until(f"{name!r} to change", lambda: is_on() != before)

    def type(self, name, text):
        """Writes into a field, in the place of what is in it."""
        node = self.field(name)
        node.set_text_contents(text)
        return node

    def field(self, name):
        look = lambda: next(filter(None, (self.look(name, role) for role in FIELDS)), None)
        try:
            return until(f"the field {name!r}", look)
        except AssertionError as missing:
            raise AssertionError(f"{missing}; there is:\n{self.tree()}") from None

    def content(self, name):
        node = self.field(name)
        return Atspi.Text.get_text(node, 0, Atspi.Text.get_character_count(node))

    def send(self, text):
        self.type("Write a message", text)
        self.press("Send")

    def open(self, title):
        """Opens a conversation of the list, in which one can write."""
        self.choose(title)
        self.find("Write a message")

    def choose(self, title, line=r"(,.*)?"):
        """Chooses a line of the list. A press that comes before the window is laid out hits nothing."""
        pattern = re.compile(re.escape(title) + line, re.S)

        def chosen():
            if self.look(f"Conversation: {title}"):
                return True
            node = self.look(pattern, "list item")
            if node is not None:
                self.click(node)
            return False

        try:
            until(f"the line {pattern!r}", chosen)
        except AssertionError as missing:
            raise AssertionError(f"{missing}; there is:\n{self.tree()}") from None

    def tree(self, of=None, depth=0):
        """What is shown, a line each, for whoever reads why a test failed."""
        of = of or self.application()
        if of is None:
            return "nothing"
        lines = []
        try:
            for at in range(of.get_child_count()):
                child = of.get_child_at_index(at)
                if child is None or depth and not child.get_state_set().contains(Atspi.StateType.VISIBLE):
                    continue
                if child.get_name() or child.get_n_actions():
                    lines.append(f"{'  ' * depth}{child.get_role_name()} {child.get_name()!r}")
                lines.append(self.tree(child, depth + 1))
        except GLib.Error:
            lines.append(f"{'  ' * depth}(gone meanwhile)")
        return "\n".join(line for line in lines if line)

    def create(self, address, name):
        self.press("Create an account")
        self.type("Your name", name)
        self.type("Your address", address)
        self.press("Create account", "push button")
        code = self.find("Recovery code").get_description()
        self.press("I wrote them down and keep them in a safe place")
        self.press("Continue")
        self.find("Find a conversation")
        return code

    def link(self, chat, history):
        """Takes the account of somebody at a terminal."""
        self.press("Link this device")
        self.press("Show the code")
        self.find("Code to be scanned by your other device")
        self.press("As text")
        text = self.find(re.compile("The code as text: .*", re.S)).get_name()
        chat.call("device.accept", qr=text.removeprefix("The code as text: "), history=history)
        self.says("ada (")
        self.press("Yes, it is mine")
        digits = self.find(re.compile("Digits: .*")).get_name()
        chat.call("device.confirm", code="".join(c for c in digits if c.isdigit()))
        self.find("Find a conversation")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Case(unittest.TestCase):
    """A test with a folder, a relay, and whoever it needs; all of them end with it."""

    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="rejoinder-desktop-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.relay = Relay(self.folder / "relay")
        self.addCleanup(self.relay.stop)

    def window(self, name="desktop", *arguments, relay=True, env=None):
        window = Window(self.folder / name, self.relay if relay else None, *arguments, env=env)
        self.addCleanup(window.stop)
        return window

    def chat(self, name):
        chat = Chat(self.folder / name, self.relay)
        self.addCleanup(chat.stop)
        return chat
