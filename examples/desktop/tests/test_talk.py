"""Talking: what is written, read, changed, searched, and said of how it stands."""

import re

from support import Case, until


class Talk(Case):
    def setUp(self):
        super().setUp()
        self.bob = self.chat("bob")
        self.bob.create("bob", "Bob")
        self.ada = self.window("ada")
        self.ada.create("ada", "Ada")

    def begin(self, title="Team", members="bob"):
        self.ada.key("ctrl+n")
        self.ada.type("With whom", members)
        self.ada.type("Title", title)
        self.ada.press("Begin conversation")
        self.ada.find("Write a message")
        return self.bob.invited(title)

    def test_both_write_and_see_how_far_it_came(self):
        team = self.begin()
        self.ada.send("hello, look at https://example.org")
        heard = self.bob.until_text(team, "hello, look at https://example.org")
        self.bob.call("message.send", conversation=team, text="hi Ada")
        self.ada.says("Bob, ")
        self.ada.says("hi Ada")
        self.bob.call("conversation.read", conversation=team, message=heard["message"])
        self.ada.find(re.compile("You, .*hello, look at .*, Read", re.S), "list item")
        # The window is looked at, so what is in it is read.
        until("that it was read", lambda: self.bob.call("message.list", conversation=team)[-1]["status"] == "read")

    def test_messages_are_answered_edited_reacted_to_and_deleted(self):
        team = self.begin()
        self.ada.send("first")
        self.bob.until_text(team, "first")
        self.bob.call("message.send", conversation=team, text="question?")
        self.actions("Bob, .*question.*", "Reply")
        self.ada.says("Answer to Bob")
        self.ada.send("answer")
        answer = self.bob.until_text(team, "answer")
        self.assertIsNotNone(answer["reply_to"])
        self.actions("Bob, .*question.*", "React with 👍")
        self.ada.find(re.compile("Bob, .*question.*👍 from Ada.*", re.S), "list item")
        self.actions("You, .*first.*", "Edit")
        until("the old words", lambda: self.ada.content("Write a message") == "first")
        self.ada.type("Write a message", "second")
        self.ada.press("Save")
        self.bob.until_text(team, "second")
        self.ada.find(re.compile("You, .*second, edited.*", re.S), "list item")
        self.actions("You, .*second.*", "Delete for everyone")
        self.ada.answer("Delete")
        self.ada.find(re.compile("You, .*This message was deleted.*", re.S), "list item")

    def actions(self, line, act):
        node = self.ada.find(re.compile(line, re.S), "list item")
        button = next(n for n in self.ada.nodes(node) if n.get_name() == "Actions for this message")
        self.ada.act(button)
        self.ada.press(act)

    def test_a_strangers_invitation_waits_for_an_answer(self):
        asked = self.bob.call("conversation.create", title="Offer", members=["ada"])["conversation"]
        self.bob.call("message.send", conversation=asked, text="buy this")
        self.ada.choose("Offer", r", .*invitation.*")
        self.ada.says("wants to talk with you")
        self.ada.press("Accept")
        self.ada.find("Write a message")
        self.ada.send("no")
        self.bob.until_text(asked, "no")

    def test_a_declined_invitation_is_gone_and_its_author_can_be_unblocked(self):
        self.begin("Before")
        cleo = self.chat("cleo")
        cleo.create("cleo", "Cleo")
        cleo.call("conversation.create", title="Offer", members=["ada"])
        self.ada.choose("Offer", r", .*invitation.*")
        self.ada.press("Decline")
        self.ada.gone(re.compile("Offer, .*", re.S), "list item")
        self.ada.open("Before")
        self.ada.press("About this conversation")
        self.ada.press(re.compile("What one can do about Bob"))
        self.ada.press("Block")
        self.ada.answer("Block")
        self.ada.says("blocked")
        self.ada.key("ctrl+comma")
        self.ada.find("Blocked people")
        self.ada.press("Unblock")
        self.ada.gone("Blocked people")

    def test_a_draft_stays_and_is_on_every_device(self):
        self.begin("One")
        self.begin("Two")
        self.ada.type("Write a message", "half written")
        self.ada.open("One")
        until("an empty line", lambda: self.ada.content("Write a message") == "")
        self.ada.open("Two")
        until("the draft", lambda: self.ada.content("Write a message") == "half written")

    def test_the_list_is_searched_pinned_muted_and_archived(self):
        self.begin("Milk")
        self.begin("Tea")
        self.ada.type("Find a conversation", "mil")
        self.ada.gone(re.compile("Tea,.*"), "list item")
        self.ada.find(re.compile("Milk,.*"), "list item")
        self.ada.type("Find a conversation", "")
        self.ada.open("Milk")
        self.ada.press("About this conversation")
        for switch in ["Muted", "Pinned"]:
            self.ada.switch(switch)
        self.ada.find(re.compile("Milk, pinned, muted,.*"), "list item")
        self.ada.switch("Archived")
        self.ada.gone(re.compile("Milk,.*"), "list item")
        self.ada.press("Archive (1)")
        self.ada.find(re.compile("Milk, pinned, muted,.*"), "list item")

    def test_a_search_finds_what_is_loaded(self):
        team = self.begin()
        for text in ["green tea", "milk", "black tea"]:
            self.bob.call("message.send", conversation=team, text=text)
        self.ada.says("black tea")
        self.ada.key("ctrl+f")
        self.ada.type("Search in loaded messages", "TEA")
        self.ada.find("2 of 2")
        self.ada.press("Older match")
        self.ada.find("1 of 2")
        self.ada.key("Escape")
        self.ada.gone("1 of 2")

    def test_offline_is_told_and_what_was_written_goes_out_later(self):
        team = self.begin()
        self.ada.send("before")
        self.bob.until_text(team, "before")
        self.relay.stop()
        self.ada.says("No connection")
        self.ada.send("meanwhile")
        self.ada.says("1 change waits to be sent")
        self.ada.find(re.compile("You, .*meanwhile, Only on this device", re.S), "list item")
        self.relay.start()
        self.bob.until_text(team, "meanwhile")
        self.ada.gone(re.compile("No connection.*", re.S))

    def test_offline_by_choice(self):
        self.ada.key("ctrl+comma")
        self.ada.switch("Stay offline")
        self.ada.says("You are offline by choice")
        self.ada.press("Connect")
        self.ada.gone(re.compile("You are offline by choice.*", re.S))

    def test_killed_at_any_moment_it_has_what_was_sent(self):
        team = self.begin()
        for n in range(3):
            self.ada.send(f"message {n}")
            self.ada.find(re.compile(f"You, .*message {n}.*", re.S), "list item")
            self.ada.stop()
            self.ada.start()
            self.ada.open("Team")
            self.ada.find(re.compile(f"You, .*message {n}.*", re.S), "list item")
            self.bob.until_text(team, f"message {n}")

    def test_members_come_get_a_role_and_go(self):
        cleo = self.chat("cleo")
        cleo.create("cleo", "Cleo")
        self.begin()
        self.ada.press("About this conversation")
        self.ada.press("Add somebody")
        self.ada.type("Their address", "cleo")
        self.ada.press("Add")
        cleo.invited("Team")
        self.ada.press("What one can do about Cleo")
        self.ada.press("Make an admin")
        self.ada.says("cleo · admin")
        self.ada.press("What one can do about Cleo")
        self.ada.press("Remove")
        self.ada.answer("Remove")
        self.ada.gone("What one can do about Cleo")
        self.ada.type("Title", "Ada and Bob")
        self.ada.press("Save the title")
        until("the title", lambda: any(c["title"] == "Ada and Bob" for c in self.bob.call("conversation.list")))

    def test_safety_numbers_agree(self):
        self.begin()
        theirs = self.bob.call("contact.lookup", address="ada")
        self.ada.press("About this conversation")
        self.ada.press("What one can do about Bob")
        self.ada.press("Safety number")
        number = until("the number", lambda: self.number())
        self.assertEqual(number, "".join(theirs["safety_number"].split()))
        self.ada.type("Or paste the code that they show", theirs["qr"])
        self.ada.press("Compare")
        self.ada.says("nobody stands between you")

    def number(self):
        for node in self.ada.nodes():
            if node.get_name() == "Safety number" and node.get_description():
                return "".join(node.get_description().split())
        return None

    def test_a_revoked_device_says_so_while_it_is_open(self):
        phone = self.chat("phone")
        offer = phone.call("device.offer", name="Phone", join="any")["qr"]
        self.ada.key("ctrl+d")
        self.ada.press("Link a device")
        self.ada.type("What the new device shows, as text", offer)
        self.ada.press("Continue")
        self.ada.find("Everything, also what was written before")
        self.ada.press("Continue")
        self.ada.type("The seven digits that it shows", phone.heard("link.code")["code"])
        self.ada.press("Link it")
        phone.heard("link.done")
        self.ada.press("Make it the first")
        self.ada.answer("Make it the first")
        own = lambda: next((d for d in phone.call("device.list") if d["current"]), {})
        until("the role", lambda: own().get("role") == "primary")
        other = next(d for d in phone.call("device.list") if not d["current"])
        phone.call("device.revoke", device=other["device"])
        self.ada.find("This device was removed")
        self.ada.press("Erase and begin anew")
        self.ada.answer("Erase and begin anew")
        self.ada.find("Create an account")
