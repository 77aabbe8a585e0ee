"""Beginning: a new account, a link, a recovery, and a relay that is not known yet."""

import re

from support import Case, until


class Start(Case):
    def test_an_account_is_created_and_its_code_brings_it_back(self):
        first = self.window("first")
        code = first.create("ada", "Ada")
        first.says("Up to date")
        words = code.split()
        self.assertEqual(len(words), 12)

        second = self.window("second")
        second.press("Recover your account")
        second.type("Your address", "ada")
        second.type("Your recovery code", "  ".join(word.upper() for word in words))
        second.press("Recover account", "push button")
        again = second.find("Recovery code").get_description()
        self.assertNotEqual(again, code)
        second.press("I wrote them down and keep them in a safe place")
        second.press("Continue")
        second.find("Find a conversation")

        # The first device ended with it: it says so, keeps what it has, and can be begun anew.
        first.find("This device was removed")
        first.press("Read what is left")
        first.says("Nothing new arrives or is sent")

    def test_a_wrong_code_says_what_to_look_for(self):
        self.window("first").create("ada", "Ada")
        second = self.window("second")
        second.press("Recover your account")
        second.type("Your address", "ada")
        second.type("Your recovery code", "abandon " * 12)
        second.press("Recover account", "push button")
        second.says("not the code of this account")

    def test_an_address_that_is_taken_is_told_at_once(self):
        self.chat("bob").create("bob", "Bob")
        window = self.window()
        window.press("Create an account")
        window.type("Your name", "Ada")
        window.type("Your address", "!")
        window.press("Create account", "push button")
        window.says("address")
        window.press("Back", "push button")
        window.find("Link this device")

    def test_without_a_relay_it_asks_for_one(self):
        window = self.window(relay=False)
        window.find("Which relay?")
        window.type("The relay's address", "nonsense://x")
        window.press("Continue")
        window.find("Rejoinder can't open here")
        window.press("Another relay")
        window.type("The relay's address", self.relay.url)
        window.press("Continue")
        window.create("ada", "Ada")
        window.stop()
        window.start()
        window.find("Find a conversation")


class Link(Case):
    def test_the_window_joins_the_account_of_a_terminal(self):
        ada = self.chat("ada")
        ada.create("ada", "Ada")
        conversation = ada.call("conversation.create", title="Diary", members=[])["conversation"]
        ada.call("message.send", conversation=conversation, text="written before")
        window = self.window()
        window.link(ada, "all")
        window.open("Diary")
        window.says("written before")
        window.send("from the window")
        ada.until_text(conversation, "from the window")

    def test_without_history_it_sees_what_comes(self):
        ada = self.chat("ada")
        ada.create("ada", "Ada")
        conversation = ada.call("conversation.create", title="Diary", members=[])["conversation"]
        ada.call("message.send", conversation=conversation, text="written before")
        window = self.window()
        window.link(ada, "none")
        window.open("Diary")

        def heard():
            # What is written before the window's device is in the conversation is before its time, too.
            ada.call("message.send", conversation=conversation, text="written after")
            return window.look(re.compile("Ada, .*written after.*|You, .*written after.*", re.S))

        until("what is written after", heard)
        self.assertIsNone(window.look(re.compile(".*written before.*", re.S)))

    def take_a_phone(self):
        """Ada's window takes what a terminal offers, up to the code that the terminal then shows."""
        window = self.window()
        window.create("ada", "Ada")
        phone = self.chat("phone")
        offer = phone.call("device.offer", name="Phone", join="any")["qr"]
        window.key("ctrl+d")
        window.press("Link a device")
        window.type("What the new device shows, as text", offer)
        window.press("Continue")
        window.find("Everything, also what was written before")
        window.press("Continue")
        return window, phone

    def test_the_window_links_a_terminal_and_removes_it(self):
        window, phone = self.take_a_phone()
        code = phone.heard("link.code")["code"]
        window.type("The seven digits that it shows", code)
        window.press("Link it")
        phone.heard("link.done")
        window.find("Phone")
        window.press("Remove", "push button")
        window.find(re.compile("Remove .*Phone.*"))
        window.says("It is closed at once")
        window.answer("Remove")
        window.find("Removed")
        until("the end of the phone", lambda: any(
            n["method"] == "device" and n["params"]["change"] == "revoked" for n in phone.news))

    def test_wrong_digits_link_nothing(self):
        window, phone = self.take_a_phone()
        code = int(phone.heard("link.code")["code"])
        window.type("The seven digits that it shows", f"{(code + 1) % 10_000_000:07}")
        window.press("Link it")
        window.says("The digits did not match")
        phone.heard("link.failed")


class Once(Case):
    def test_a_second_start_shows_the_first_window(self):
        window = self.window()
        window.create("ada", "Ada")
        self.assertEqual(window.again(), 0)
        self.assertEqual(window.again("--background"), 0)
        self.assertIsNone(window.process.poll())

    def test_a_store_in_use_is_told(self):
        chat = self.chat("desktop/store")
        chat.create("ada", "Ada")
        window = self.window()
        window.find("Rejoinder can't open here")
        chat.stop()
        window.press("Try again")
        window.find("Find a conversation")
