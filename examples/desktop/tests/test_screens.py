"""Every screen, narrow and wide, light and dark: it comes, its controls have names, and a picture is kept to be looked at."""

import re
import subprocess

from support import ROOT, Case

PICTURES = ROOT / "target" / "screens" / "desktop"
CONTROLS = {
    "push button", "toggle button", "check box", "radio button", "text", "entry", "list item", "combo box", "link",
    "password text", "slider", "switch", "menu item",
}
# GTK calls what has no name after its class.
NAMELESS = re.compile(r"(Gtk|Adw)[A-Z]\w*|")
HELLO = (
    "Hello Ada! This is long enough to be wrapped on every screen, since nobody has one that is wide enough "
    "for all of it, and bubbles stay narrow anyway."
)


class Screens(Case):
    def test_narrow_and_light(self):
        self.look_at_all(400, "light")

    def test_narrow_and_dark(self):
        self.look_at_all(400, "dark")

    def test_wide_and_light(self):
        self.look_at_all(1200, "light")

    def test_wide_and_dark(self):
        self.look_at_all(1200, "dark")

    def look_at_all(self, width, theme):
        self.width, self.theme, self.count = width, theme, 0
        folder = self.folder / "ada"
        folder.mkdir()
        size = f"width = {width}\nheight = 760\nmaximized = false"
        (folder / "desktop.toml").write_text(f'theme = "{theme}"\n[window]\n{size}\n')
        self.bob, self.cleo = self.chat("bob"), self.chat("cleo")
        self.bob.create("bob", "Bob Babbage")
        self.cleo.create("cleo", "Cleo")
        self.ada = self.window("ada")
        self.begin()
        self.talk()
        self.rest()

    def shot(self, name, is_ours=True):
        """Keeps a picture of what is shown, and sees that its controls have names, where they are ours."""
        self.count += 1
        bad = set()
        for node in self.ada.nodes() if is_ours else []:
            if node.get_role_name() in CONTROLS and NAMELESS.fullmatch(node.get_name() or ""):
                bad.add((node.get_role_name(), node.get_name(), node.get_parent().get_name()))
        if bad:
            self.fail(f"{name} has controls without names: {bad}; there is:\n{self.ada.tree()}")
        PICTURES.mkdir(parents=True, exist_ok=True)
        file = PICTURES / f"{self.width}-{self.theme}-{self.count:02}-{name}.png"
        subprocess.run(["import", "-window", "root", str(file)], check=True)

    def begin(self):
        ada = self.ada
        ada.find("Create an account")
        self.shot("begin")
        ada.press("Recover your account")
        ada.find("Recover account")
        self.shot("recover")
        ada.press("Back", "push button")
        ada.press("Link this device")
        ada.press("Show the code")
        ada.find("Code to be scanned by your other device")
        self.shot("link-this")
        ada.press("Back", "push button")
        ada.press("Create an account")
        ada.type("Your name", "Ada Lovelace")
        ada.type("Your address", "ada")
        self.shot("create")
        ada.press("Create account", "push button")
        ada.find("Recovery code")
        self.shot("code")
        ada.press("I wrote them down and keep them in a safe place")
        ada.press("Continue")
        ada.find("Find a conversation")
        self.shot("empty")

    def conversation(self, title, members):
        self.ada.key("ctrl+n")
        self.ada.type("With whom", members)
        self.ada.type("Title", title)
        self.ada.press("Begin conversation")
        self.ada.find("Write a message")

    def talk(self):
        ada, bob, cleo = self.ada, self.bob, self.cleo
        for title, members in [("Reading list", "cleo"), ("", "bob"), ("Engines", "bob, cleo")]:
            self.conversation(title, members)
            self.ada.send(f"Welcome to {title or 'us two'}: https://example.org/a?b=1&c=2.")
        self.shot("chat-begun")
        here = bob.invited("Engines")
        cleo.invited("Engines")
        first = bob.until_text(here, "Welcome to Engines: https://example.org/a?b=1&c=2.")
        bob.call("message.send", conversation=here, text=HELLO)
        cleo.until_text(here, HELLO)
        cleo.call("message.send", conversation=here, text="🎉🎉")
        cleo.call("message.send", conversation=here, text="مرحبا بالعالم, with עברית and English")
        cleo.call("message.send", conversation=here, text="When do we meet?", reply_to=first["message"])
        bob.call("message.react", conversation=here, message=first["message"], emoji="👍")
        ada.says("When do we meet?")
        ada.send("At five. I bring the plans, and a cake.")
        mine = bob.until_text(here, "At five. I bring the plans, and a cake.")
        bob.call("conversation.read", conversation=here, message=mine["message"])
        ada.find(re.compile("You, .*At five.*, Read", re.S))
        bob.call("conversation.typing", conversation=here)
        ada.says("Bob Babbage is typing…")
        self.shot("chat")
        line = ada.find(re.compile("You, .*At five.*", re.S), "list item")
        ada.act(next(n for n in ada.nodes(line) if n.get_name() == "Actions for this message"))
        ada.find("Delete for everyone")
        self.shot("actions")
        ada.press("Reply")
        ada.says("Answer to yourself")
        self.shot("answer")
        ada.key("Escape")
        ada.key("ctrl+f")
        ada.type("Search in loaded messages", "the")
        ada.find(re.compile(r"\d of \d"))
        self.shot("search")
        ada.key("Escape")

    def rest(self):
        ada = self.ada
        ada.press("About this conversation")
        ada.find("3 people")
        self.shot("about")
        ada.press("What one can do about Bob Babbage")
        ada.find("Make an admin")
        self.shot("member")
        ada.press("Safety number")
        ada.find("Compare")
        self.shot("safety")
        ada.key("Escape")
        ada.gone("Compare")
        ada.press("Add somebody")
        ada.find("Their address")
        self.shot("add")
        ada.key("Escape")
        ada.gone("Their address")
        ada.press("Leave the conversation")
        ada.find(re.compile("Leave this conversation.*"))
        self.shot("leave")
        ada.answer("Cancel")
        ada.gone(re.compile("Leave this conversation.*"))
        ada.key("ctrl+n")
        ada.type("With whom", "bob, cleo, ")
        ada.find("Take bob out")
        self.shot("new")
        ada.key("ctrl+d")
        ada.find("Log out")
        self.shot("devices")
        ada.press("New recovery code")
        ada.press("Show a new code")
        ada.find("I wrote them down")
        self.shot("new-code")
        ada.press("I wrote them down")
        ada.press("Link a device")
        ada.find("Paste")
        self.shot("link-other")
        ada.key("Escape")
        ada.gone("Paste")
        ada.key("ctrl+comma")
        ada.find("Start with the session")
        self.shot("settings")
        ada.press("Set a passphrase", "push button")
        ada.type("New passphrase", "correct horse battery")
        ada.type("The new passphrase again", "correct horse battery")
        self.shot("passphrase")
        ada.press("Save the passphrase")
        ada.press("Lock now")
        ada.find("Locked")
        self.shot("locked")
        ada.type("Your passphrase", "correct horse battery")
        ada.press("Unlock")
        ada.find("Lock now")
        if self.theme == "light":
            # It lies below what the window shows, and so takes many keys.
            ada.reach("Lock now")
        self.shot("lock-settings")
        stranger = self.chat("stranger")
        stranger.create("dora", "Dora")
        stranger.call("conversation.create", title="", members=["ada"])
        ada.key("alt+Left")
        ada.choose("Dora", r", invitation.*")
        ada.says("wants to talk with you")
        self.shot("invitation")
        ada.key("ctrl+question")
        ada.find("Anywhere")
        self.shot("keys", is_ours=False)
        ada.key("Escape")
        ada.gone("Anywhere")
        self.relay.stop()
        ada.says("No connection")
        self.shot("offline")
        self.relay.start()
