"""What is kept on the disk: sealed, with a key in the keyring or in a file; and the lock before it."""

import os
import re
import shutil
import subprocess
import tempfile

from gi.repository import Gio, GLib
from support import Case, until
from test_habits import Notified

MARK = b"Rejoinder sealed store"
PASSPHRASE = "correct horse battery"
SECRETS = "org.freedesktop.secrets"


class Keyring:
    """GNOME's keyring, with nothing in it, open as after a login; on the bus as long as it is there."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rejoinder-keyring-")
        env = {**os.environ, "XDG_DATA_HOME": self.folder, "XDG_RUNTIME_DIR": self.folder, "HOME": self.folder}
        command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.process.stdin.write(b"login")
        self.process.stdin.close()
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        until("the keyring", self.is_there)

    def is_there(self):
        try:
            return self.call("ReadAlias", GLib.Variant("(s)", ("default",)))[0] != "/"
        except GLib.Error:
            return False

    def call(self, method, arguments):
        path, interface = "/org/freedesktop/secrets", "org.freedesktop.Secret.Service"
        flags = Gio.DBusCallFlags.NO_AUTO_START
        return self.bus.call_sync(SECRETS, path, interface, method, arguments, None, flags, 20_000, None).unpack()

    def keys(self):
        """How many keys of ours are in it."""
        ours = {"xdg:schema": "org.rejoinder.Desktop.Store"}
        is_open, is_closed = self.call("SearchItems", GLib.Variant("(a{ss})", (ours,)))
        return len(is_open) + len(is_closed)

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Kept(Notified):
    def setUp(self):
        super().setUp()
        self.bob = self.chat("bob")
        self.bob.create("bob", "Bob Babbage")

    def begin(self, **env):
        ada = self.window("ada", env=env)
        ada.create("ada", "Ada")
        return ada

    def talk(self, ada):
        """A conversation with something in it that nobody else may read."""
        here = self.bob.call("conversation.create", title="Team", members=["ada"])["conversation"]
        ada.choose("Team", r", .*invitation.*")
        ada.press("Accept")
        self.bob.call("message.send", conversation=here, text="nobody else reads this")
        ada.says("nobody else reads this")
        return here

    def store(self):
        return self.folder / "ada" / "store" / "device.redb"

    def key_file(self):
        return self.folder / "ada" / "store.key"

    def assert_sealed(self):
        held = self.store().read_bytes()
        self.assertTrue(held.startswith(MARK))
        # Words so long that chance does not write them.
        for plain in [b"nobody else reads this", b"Bob Babbage"]:
            self.assertFalse(plain in held, plain)

    def set_passphrase(self, ada):
        ada.key("ctrl+comma")
        ada.press("Set a passphrase", "push button")
        ada.type("New passphrase", PASSPHRASE)
        ada.type("The new passphrase again", PASSPHRASE)
        ada.press("Save the passphrase")
        ada.find("Lock now")
        ada.gone("New passphrase")

    def unlock(self, ada, passphrase=PASSPHRASE):
        ada.type("Your passphrase", passphrase)
        ada.press("Unlock")

    def test_without_a_keyring_it_says_so_and_goes_on(self):
        ada = self.begin()
        self.talk(ada)
        ada.key("ctrl+comma")
        ada.says("Not protected on the disk")
        ada.says("whoever can read your files can read your messages")
        self.assertEqual(self.key_file().stat().st_mode & 0o777, 0o600)
        ada.stop()
        self.assert_sealed()
        ada.start()
        ada.open("Team")
        ada.says("nobody else reads this")

    def test_a_plain_store_is_sealed_when_it_is_opened(self):
        before = self.chat("ada/store")
        before.create("ada", "Ada")
        here = before.call("conversation.create", title="Team", members=[])["conversation"]
        before.call("message.send", conversation=here, text="nobody else reads this")
        before.stop()
        self.assertIn(b"nobody else reads this", self.store().read_bytes())
        ada = self.window("ada")
        ada.open("Team")
        ada.says("nobody else reads this")
        ada.stop()
        self.assert_sealed()

    def test_the_key_lies_in_the_keyring_and_goes_with_a_log_out(self):
        keyring = Keyring()
        self.addCleanup(keyring.end)
        phone = self.chat("phone")
        phone.create("ada", "Ada")
        ada = self.window("ada", env={"DESKTOP_KEYRING": "system"})
        ada.link(phone, "all")
        self.talk(ada)
        self.assertEqual(keyring.keys(), 1)
        self.assertFalse(self.key_file().exists())
        ada.key("ctrl+comma")
        ada.says("The key is in this system's keyring")
        ada.stop()
        self.assert_sealed()
        before = self.store().read_bytes()[:64]
        ada.start()
        ada.open("Team")
        self.assertEqual(self.store().read_bytes()[:64], before)
        ada.key("ctrl+d")
        ada.press("Log out", "push button")
        ada.answer("Log out")
        ada.find("Create an account")
        self.assertEqual(keyring.keys(), 1)
        self.assertNotEqual(self.store().read_bytes()[:64], before, "it has another key")

    def test_a_file_gives_its_key_to_a_keyring_that_comes_later(self):
        ada = self.begin()
        ada.stop()
        self.assertTrue(self.key_file().exists())
        keyring = Keyring()
        self.addCleanup(keyring.end)
        ada.env["DESKTOP_KEYRING"] = "system"
        ada.start()
        ada.find("Find a conversation")
        self.assertEqual(keyring.keys(), 1)
        self.assertFalse(self.key_file().exists())

    def test_a_key_that_is_gone_is_told_and_one_can_begin_anew(self):
        ada = self.begin()
        ada.stop()
        self.key_file().unlink()
        ada.start()
        ada.find("Rejoinder can't open here")
        ada.says("The key to what is kept here can't be had")
        self.assertTrue(self.store().exists(), "nothing is taken away unasked")
        ada.press("Erase and begin anew")
        ada.answer("Erase and begin anew")
        ada.find("Create an account")

    def test_a_passphrase_is_asked_for_at_the_start(self):
        ada = self.begin()
        self.talk(ada)
        bare = self.key_file().read_text()
        self.set_passphrase(ada)
        ada.says("Sealed on the disk by your passphrase")
        key = bare.split()[1]
        self.assertNotIn(key[:32], self.key_file().read_text())
        ada.stop()
        ada.start()
        ada.find("Locked")
        self.unlock(ada, "wrong horse battery")
        ada.says("That is not the passphrase")
        self.unlock(ada)
        ada.open("Team")
        ada.says("nobody else reads this")
        ada.key("ctrl+comma")
        ada.press("Remove it", "push button")
        ada.type("The passphrase so far", PASSPHRASE)
        ada.press("Remove the passphrase", "push button")
        ada.says("Not protected on the disk")
        ada.stop()
        ada.start()
        ada.find("Find a conversation")

    def test_what_is_behind_the_lock_is_neither_seen_nor_told(self):
        ada = self.begin()
        here = self.talk(ada)
        self.set_passphrase(ada)
        ada.open("Team")
        ada.key("ctrl+shift+l")
        ada.find("Locked")
        ada.gone("Find a conversation")
        self.assertIsNone(ada.look(re.compile(".*(nobody else|Team|Bob).*", re.S)))
        # What keys and links lead to stays behind it.
        ada.key("ctrl+n", "ctrl+comma")
        self.assertEqual(ada.again("rejoinder:talk/bob"), 0)
        self.assertIsNone(ada.look("With whom"))
        self.bob.call("message.send", conversation=here, text="more of it")
        told = self.notifications.next()
        self.assertEqual((told["title"], told["body"]), ("Rejoinder", "Something new came"))
        self.assertNotIn("Reply", told["actions"])
        status = lambda: self.bob.call("message.list", conversation=here)[-1]["status"]
        until("that it was delivered", lambda: status() != "stored")
        self.assertEqual(status(), "delivered")
        self.unlock(ada)
        ada.gone("Locked")
        ada.open("Team")
        ada.says("more of it")
        until("that it was read", lambda: status() == "read")

    def test_it_locks_when_nobody_uses_it(self):
        ada = self.begin()
        self.set_passphrase(ada)
        # It lies below what the window shows: the focus brings it there.
        ada.reach("After 5 minutes")
        ada.key("space")
        file = self.folder / "ada" / "desktop.toml"
        until("the choice", lambda: file.exists() and "lock_after_s = 300" in file.read_text())
        ada.stop()
        # Nobody waits five minutes here.
        file.write_text(file.read_text().replace("lock_after_s = 300", "lock_after_s = 2"))
        ada.start()
        ada.find("Locked")
        self.unlock(ada)
        ada.find("Find a conversation")
        ada.find("Locked")
        ada.gone("Find a conversation")
