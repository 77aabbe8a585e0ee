"""What a desktop expects of its programs: notifications, the background, links, several windows."""

import re
import subprocess

from gi.repository import Gio, GLib
from support import Case, until

SERVICE = """
<node>
  <interface name="org.freedesktop.Notifications">
    <method name="Notify">
      <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
      <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
      <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/>
    </method>
    <method name="CloseNotification"><arg type="u" direction="in"/></method>
    <method name="GetCapabilities"><arg type="as" direction="out"/></method>
    <method name="GetServerInformation">
      <arg type="s" direction="out"/><arg type="s" direction="out"/>
      <arg type="s" direction="out"/><arg type="s" direction="out"/>
    </method>
    <signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal>
    <signal name="NotificationClosed"><arg type="u"/><arg type="u"/></signal>
  </interface>
</node>
"""


class Notifications:
    """What shows notifications on a desktop: it keeps them, and presses their buttons."""

    def __init__(self):
        self.shown, self.closed = [], []
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        interface = Gio.DBusNodeInfo.new_for_xml(SERVICE).interfaces[0]
        path = "/org/freedesktop/Notifications"
        self.object = self.bus.register_object(path, interface, self.call, None, None)
        self.owner = Gio.bus_own_name_on_connection(
            self.bus, "org.freedesktop.Notifications", Gio.BusNameOwnerFlags.REPLACE, None, None
        )

    def call(self, _bus, _sender, _path, _interface, method, arguments, answer):
        if method == "Notify":
            _, _, _, title, body, actions, _, _ = arguments.unpack()
            self.shown.append({"title": title, "body": body, "actions": dict(zip(actions[1::2], actions[::2]))})
            answer.return_value(GLib.Variant("(u)", (len(self.shown),)))
        elif method == "GetCapabilities":
            answer.return_value(GLib.Variant("(as)", (["actions", "body"],)))
        elif method == "GetServerInformation":
            answer.return_value(GLib.Variant("(ssss)", ("test", "test", "1", "1.2")))
        else:
            self.closed.append(arguments.unpack()[0])
            answer.return_value(None)

    def turn(self):
        while GLib.MainContext.default().iteration(False):
            pass

    def next(self):
        """The newest one, once there is one."""
        return until("a notification", lambda: (self.turn(), self.shown and self.shown.pop())[1])

    def press(self, notification, label):
        action = notification["actions"][label]
        path = "/org/freedesktop/Notifications"
        value = GLib.Variant("(us)", (1, action))
        self.bus.emit_signal(None, path, "org.freedesktop.Notifications", "ActionInvoked", value)
        self.bus.flush_sync()

    def end(self):
        Gio.bus_unown_name(self.owner)
        self.bus.unregister_object(self.object)
        self.turn()


class Notified(Case):
    """A desktop that shows notifications, to be read."""

    def setUp(self):
        super().setUp()
        self.notifications = Notifications()
        self.addCleanup(self.notifications.end)
        self.notifications.turn()


class Habits(Notified):
    def setUp(self):
        super().setUp()
        self.bob = self.chat("bob")
        self.bob.create("bob", "Bob")

    def talk(self):
        """Ada's window, with a conversation that is not looked at."""
        ada = self.window("ada")
        ada.create("ada", "Ada")
        self.here = self.bob.call("conversation.create", title="Team", members=["ada"])["conversation"]
        ada.choose("Team", r", .*invitation.*")
        ada.press("Accept")
        ada.find("Write a message")
        return ada

    def test_news_is_announced_and_answered_from_the_announcement(self):
        ada = self.talk()
        ada.key("ctrl+comma")
        ada.find("Start with the session")
        self.bob.call("message.send", conversation=self.here, text="tea is ready")
        told = self.notifications.next()
        self.assertEqual((told["title"], told["body"]), ("Team", "Bob: tea is ready"))
        self.notifications.press(told, "Mark as read")
        until(
            "that it was read",
            lambda: self.bob.call("message.list", conversation=self.here)[-1]["status"] == "read",
        )
        self.bob.call("message.send", conversation=self.here, text="and cake")
        told = self.notifications.next()
        self.notifications.shown.clear()
        self.notifications.press({"actions": told["actions"]}, "Reply")
        ada.find("Write a message")
        ada.send("coming")
        self.bob.until_text(self.here, "coming")

    def test_it_goes_on_in_the_background_if_that_is_wished(self):
        ada = self.talk()
        ada.key("ctrl+comma")
        ada.switch("Go on in the background")
        ada.key("ctrl+w")
        until("the window to close", lambda: ada.look("Rejoinder", "frame") is None)
        self.bob.call("message.send", conversation=self.here, text="still there?")
        self.assertEqual(self.notifications.next()["body"], "Bob: still there?")
        self.assertEqual(ada.again(), 0)
        ada.open("Team")
        ada.says("still there?")
        ada.key("ctrl+q")
        until("the end", lambda: ada.process.poll() is not None)

    def test_it_ends_with_its_window_otherwise(self):
        ada = self.talk()
        ada.key("ctrl+w")
        until("the end", lambda: ada.process.poll() is not None)

    def test_links_show_places_and_do_nothing(self):
        ada = self.talk()
        self.assertEqual(ada.again("rejoinder:talk/bob"), 0)
        until("the address", lambda: ada.content("With whom") == "bob")
        self.assertEqual(ada.again(f"rejoinder:conversation/{self.here}"), 0)
        ada.find("Write a message")
        self.assertEqual(ada.again("rejoinder:link/abc"), 0)
        ada.find("What may the new device read?")
        ada.press("Continue")
        ada.says("That is not what a new device shows")

    def test_it_is_started_with_the_session_if_that_is_wished(self):
        ada = self.talk()
        ada.key("ctrl+comma")
        ada.switch("Start with the session")
        folder = ada.config / "autostart"
        file = until("the file", lambda: next(iter(folder.glob("*.desktop")), None))
        until("its text", lambda: "--background" in file.read_text())
        subprocess.run(["desktop-file-validate", str(file)], check=True)
        ada.switch("Start with the session")
        until("its end", lambda: not file.exists())

    def test_two_windows_show_the_same(self):
        ada = self.talk()
        ada.key("ctrl+shift+n")
        frames = lambda: [n for n in ada.nodes() if n.get_role_name() == "frame"]
        until("a second window", lambda: len(frames()) == 2)
        ada.open("Team")
        ada.send("from the second")
        for frame in frames():
            until("the message", lambda: any("from the second" in (n.get_name() or "") for n in ada.nodes(frame)))
