"""Clients that poll with a session: there until their lease ends."""

import json
import time
import unittest

import tokens
from bridge_backend import SECRET, TAKEN, Told
from gateway import (EventStream, Gateway, Scenario, WebSocket, Wire, main)

# Longer than any test: leases end when a reload says so.
LONG = 'session-lease = "1h"\n'
SHORT = 'session-lease = "100ms"\n'


class Sessions(Told, unittest.TestCase):
    conf = """
send = bridge
anonymous = yes
channel "asked*" { bridge-connect = yes }
channel "told*" { bridge-presence = yes }
channel "both*" { bridge-connect = yes  bridge-presence = yes }
channel "seen*" { presence-events = yes }
"""

    def setUp(self):
        self.open_backend()
        self.start()

    def start(self, more="", **options):
        self.more = more
        self.gateway = Gateway(self.settings(LONG), **options)
        self.addCleanup(lambda: self.gateway.close())
        self.gateway.start()

    def settings(self, lease):
        return f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
bridge-header = {{ "Cookie" }}
{lease}{self.conf}{self.more}"""

    def leases(self, lease):
        """From now on they have another length."""
        self.gateway.configure(self.settings(lease))
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded")

    def lapse(self):
        """Whoever does not ask any more has gone, a moment from now."""
        self.leases(SHORT)

    def poll(self, channels, session=None, status=200, headers=(), **params):
        query = "&".join(
            f"{k}={v}" for k, v in
            {**params, **({"session": session} if session else {})}.items())
        got, answer = self.gateway.get(f"/stream/{channels}?{query}",
                                       dict(headers))
        self.assertEqual(got, status, answer)
        return answer

    def waiting(self, channels, session, headers=""):
        """A long poll that is held."""
        head = self.poll(channels, session,
                         headers=[h.split(": ") for h in
                                  headers.splitlines()])["cursor"]
        wire = Wire(self.gateway.port)
        self.addCleanup(wire.close)
        wire.send((f"GET /stream/{channels}?wait=55&after={head}"
                   f"&session={session} HTTP/1.1\r\nHost: a\r\n"
                   f"{headers}\r\n").encode())
        self.gateway.until(lambda: any(
            c["transport"] == "long" for c in self.connections()))
        return wire

    def connections(self):
        return self.gateway.api("GET", "/v1/connections")[1]["connections"]

    def told(self, count, *kinds):
        """The first so many events of these kinds."""
        def those():
            return [e for e in self.backend.events
                    if e.type.removeprefix("spillway.") in kinds]
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(those()) >= count, 60), self.backend.events
            return those()

    def members(self, channel):
        status, answer = self.gateway.api(
            "GET", f"/v1/channels/{channel}/presence")
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["count"], len(answer["members"]))
        return answer["members"]

    def sessions(self, channel):
        return sorted(m.get("session") for m in self.members(channel))

    def history(self, channel):
        _, answer = self.gateway.api(
            "GET", f"/v1/channels/{channel}/events?after=start")
        return answer.get("events", [])  # or it is not there yet

    def count(self):
        return self.gateway.metric("sessions")


class Presence(Sessions):
    def test_a_session_is_there_between_its_polls(self):
        self.assertEqual(self.members("room"), [])
        for name in ("a", "b", "a"):
            self.poll("room", name)
        self.assertEqual(self.sessions("room"), ["a", "b"])
        self.assertEqual(self.members("other"), [])
        first = {m["session"]: m for m in self.members("room")}["a"]
        self.assertEqual(first["transport"], "short")
        wire = self.waiting("room", "a")
        again = {m["session"]: m for m in self.members("room")}["a"]
        self.assertEqual((again["transport"], again["connection"],
                          again["since"]),
                         ("long", first["connection"], first["since"]))
        self.assertEqual(self.count(), 2)
        # While it waits its lease does not run; when it is gone it does.
        self.lapse()
        self.gateway.until(lambda: self.sessions("room") == ["a"])
        wire.close()
        self.gateway.until(lambda: self.sessions("room") == [])
        self.gateway.until_metric(0, "sessions")

    def test_polls_without_a_session_are_nobody(self):
        self.poll("room")
        answer = self.poll("told,seen")
        self.assertEqual(self.count(), 0)
        self.assertEqual(self.history("seen"), [])
        # Where it matters who is there they are offered one.
        self.assertRegex(answer["session"], "^[A-Za-z0-9_-]{22}$")
        self.assertNotEqual(self.poll("told")["session"], answer["session"])
        self.assertNotIn("session", self.poll("room"))
        self.assertNotIn("session", self.poll("told", answer["session"]))
        self.assertEqual(self.sessions("told"), [answer["session"]])

    def test_a_page_without_scripts_carries_the_session_that_it_was_given(self):
        status, _, page = self.gateway.request(
            "GET", "/stream/told?format=html&limit=5")
        self.assertEqual(status, 200)
        links = [part.split(b'"')[0] for part in page.split(b"?format=html")]
        names = {link.split(b"session=")[1].split(b"&")[0]
                 for link in links[1:]}
        self.assertEqual(len(names), 1, links)
        name = names.pop().decode()
        _, _, page = self.gateway.request(
            "GET", f"/stream/told?format=html&session={name}")
        self.assertEqual(page.count(b"session="),
                         page.count(f"session={name}".encode()))
        self.assertEqual(self.sessions("told"), [name])

    def test_joining_and_leaving_are_events_of_the_channel(self):
        for _ in range(3):
            self.poll("seen-1,seen-2,room", "a")
        self.poll("seen-1", "a")
        self.lapse()
        for channel in ("seen-1", "seen-2"):
            self.gateway.until(lambda: len(self.history(channel)) == 2)
            join, leave = self.history(channel)
            self.assertEqual((join["type"], leave["type"]),
                             ("spillway.join", "spillway.leave"))
            self.assertEqual(join["data"], leave["data"])
            self.assertEqual(join["data"]["transport"], "short")

    def test_the_backend_hears_of_them_in_order(self):
        self.poll("told-a,room", "s", headers=[("Cookie", "c=1")])
        self.poll("told-a,told-b,told-c", "s", headers=[("Cookie", "c=1")])
        self.lapse()
        events = self.told(4, "subscribe", "unsubscribe", "disconnect")
        self.assertEqual(sorted(e.headers["ce-channel"] for e in events[:3]),
                         ["told-a", "told-b", "told-c"])
        for event in events:
            self.assertTrue(event.signed_by())
            self.assertEqual(event.headers["ce-session"], "s")
            self.assertEqual(event.headers["ce-transport"], "short")
            self.assertEqual(event.headers["Cookie"], "c=1")
            self.assertEqual(event.headers["ce-connection"],
                             events[0].headers["ce-connection"])
        end = events[3]
        self.assertEqual(end.type, "spillway.disconnect")
        self.assertEqual(json.loads(end.body)["reason"], "lease")
        self.assertEqual(sorted(json.loads(end.body)["channels"]),
                         ["told-a", "told-b", "told-c"])

    def test_a_channel_that_is_polled_no_longer_is_left(self):
        self.poll("told-a,told-b", "s")
        wire = self.waiting("told-a", "s")
        self.lapse()
        event = self.told(1, "unsubscribe")[0]
        self.assertEqual(event.headers["ce-channel"], "told-b")
        self.assertEqual(self.members("told-b"), [])
        wire.close()
        end = self.told(1, "disconnect")[0]
        self.assertEqual(json.loads(end.body),
                         {"reason": "lease", "channels": ["told-a"]})
        self.assertEqual(end.headers["ce-channel"], "told-a")

    def test_who_comes_back_later_comes_anew(self):
        self.poll("told", "s")
        self.lapse()
        first = self.told(1, "disconnect")[0].headers["ce-connection"]
        self.poll("told", "s")
        second = self.told(2, "subscribe")[1].headers["ce-connection"]
        self.assertNotEqual(first, second)

    def test_what_it_sends_is_its_own(self):
        self.says = lambda e: (200, "application/json", b"1")
        self.poll("told", "s")
        subscribe = self.told(1, "subscribe")[0]
        self.assertEqual(self.gateway.request(
            "POST", "/stream/told?session=s", b"1")[0], 200)
        message = self.told(1, "message")[0]
        self.assertEqual(message.headers["ce-connection"],
                         subscribe.headers["ce-connection"])

    def test_event_streams_and_sockets_are_there_for_themselves(self):
        stream = EventStream(self.gateway.port, "/stream/told?session=s")
        self.addCleanup(stream.close)
        ws = WebSocket(self.gateway.port, "/stream/told?session=s")
        self.addCleanup(ws.close)
        self.gateway.until(lambda: len(self.members("told")) == 2)
        self.assertEqual(self.count(), 0)


    def test_a_stream_takes_the_place_of_its_polls_at_once(self):
        wire = self.waiting("told,room", "s")
        self.poll("seen", "s")
        connection = self.told(1, "subscribe")[0].headers["ce-connection"]
        ws = WebSocket(self.gateway.port, "/stream/told,seen?session=s")
        self.addCleanup(ws.close)
        # The poll that waits is there until it ends.
        self.gateway.until(lambda: len(self.members("told")) == 2)
        wire.close()
        left = self.told(1, "unsubscribe")[0]
        self.assertEqual(left.headers["ce-connection"], connection)
        self.assertEqual([m["transport"] for m in self.members("told")],
                         ["ws"])
        self.assertEqual(self.sessions("room"), ["s"])
        # Two workers tell of the two.
        self.gateway.until(lambda: sorted(
            (e["type"], e["data"]["transport"])
            for e in self.history("seen")) == [
                ("spillway.join", "short"), ("spillway.join", "ws"),
                ("spillway.leave", "short")])


class Killed(Sessions):
    def test_the_backend_hears_of_the_end_of_those_who_were_there(self):
        self.poll("told-a,told-b,room", "s")
        self.poll("room", "t")
        events = self.told(2, "subscribe")
        self.gateway.kill9()
        self.gateway.start()
        end = self.told(1, "disconnect")[0]
        self.assertEqual(end.headers["ce-connection"],
                         events[0].headers["ce-connection"])
        self.assertEqual(end.headers["ce-session"], "s")
        self.assertEqual(json.loads(end.body)["reason"], "crash")
        self.assertEqual(sorted(json.loads(end.body)["channels"]),
                         ["told-a", "told-b"])
        self.assertEqual(self.sessions("told-a"), [])

    def test_a_drain_ends_them(self):
        self.poll("told,seen", "s")
        self.told(1, "subscribe")
        self.gateway.until(lambda: len(self.history("seen")) == 1)
        wire = self.waiting("told", "t")
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(wire.response()[0], 200)
        self.gateway.start()
        ends = self.told(2, "disconnect")
        self.assertEqual({e.headers["ce-session"]: json.loads(e.body)
                          for e in ends},
                         {name: {"reason": "restart", "channels": ["told"]}
                          for name in "st"})
        self.assertEqual([e["type"] for e in self.history("seen")],
                         ["spillway.join", "spillway.leave"])
        self.assertEqual(len(self.told(2, "disconnect")), 2)


class Granted(Sessions):
    def grant(self, **members):
        def says(event):
            if event.type != "spillway.connect":
                return TAKEN
            return 200, "application/json", json.dumps(members).encode()
        self.says = says

    def asked(self):
        return len(self.told(0, "connect"))

    def test_the_backend_is_asked_once_for_a_session(self):
        self.grant(user="ann", meta={"a": 1})
        for _ in range(3):
            self.poll("asked", "s")
        self.assertEqual(self.asked(), 1)
        self.assertEqual([(m["user"], m["meta"], m["session"])
                          for m in self.members("asked")],
                         [("ann", {"a": 1}, "s")])
        # What it has not granted yet it is asked for.
        self.poll("asked-2", "s")
        self.poll("asked,asked-2", "s")
        self.assertEqual(self.asked(), 2)
        self.poll("asked")
        self.poll("asked")
        self.assertEqual(self.asked(), 4)

    def test_a_grant_ends_with_its_lease(self):
        self.grant(user="ann")
        self.poll("asked", "s")
        self.lapse()
        self.gateway.until_metric(0, "sessions")
        self.poll("asked", "s")
        self.assertEqual(self.asked(), 2)

    def test_a_grant_is_for_who_it_was_given_to(self):
        def says(event):
            who = event.headers.get("Cookie", "c=nobody").removeprefix("c=")
            return 200, "application/json", json.dumps(
                {"user": who} if who != "eve" else
                {"user": who, "channels": []}).encode()
        self.says = says
        for who in ("ann", "bob", "ann"):
            self.poll("asked", "s", headers=[("Cookie", f"c={who}")])
        self.assertEqual(self.asked(), 2)
        # Who has found out the session has nothing of it.
        self.poll("asked", "s", status=403, headers=[("Cookie", "c=eve")])
        self.poll("asked", "s", headers=[("Cookie", "c=bob")])
        self.assertEqual(self.asked(), 3)
        self.assertEqual(sorted(m["user"] for m in self.members("asked")),
                         ["ann", "bob"])

    def until_asked_again(self, channel):
        """It grants a second, and is asked again when that is over."""
        def says(event):
            if event.type != "spillway.connect":
                return TAKEN
            end = int(time.time() * 1000) + 1000
            return 200, "application/json", json.dumps(
                {"user": "ann", "expires": end}).encode()
        self.says = says
        self.poll(channel, "s")
        self.assertEqual(self.asked(), 1)
        self.gateway.until(
            lambda: self.poll(channel, "s") and self.asked() == 2)

    def test_a_grant_that_has_expired_is_asked_for_again(self):
        self.until_asked_again("asked")

    def test_a_grant_that_expires_while_the_backend_thinks_is_no_hindrance(
            self):
        end = int(time.time() * 1000) + 1500
        self.grant(expires=end)
        self.poll("asked", "s")

        def says(event):
            while time.time() * 1000 < end:
                time.sleep(0.01)
            return TAKEN
        self.says = says
        self.poll("asked-2", "s")
        self.assertEqual(self.asked(), 2)
        # What was granted before has ended with that.
        self.poll("asked", "s")
        self.assertEqual(self.asked(), 3)

    def test_a_refusal_is_not_a_session(self):
        self.says = (403, "text/plain", b"no")
        self.poll("both", "s", status=403)
        self.assertEqual(self.count(), 0)
        self.says = TAKEN
        self.poll("both", "s")
        self.assertEqual(self.count(), 1)
        self.assertEqual(len(self.told(1, "subscribe")), 1)

    def test_connect_and_subscribe_are_of_one_connection(self):
        self.grant(user="ann")
        self.poll("both", "s")
        events = self.told(2, "connect", "subscribe")
        self.assertEqual(events[0].headers["ce-connection"],
                         events[1].headers["ce-connection"])
        self.assertEqual(events[1].headers["ce-user"], "ann")

    def test_a_grant_that_is_renewed_is_of_the_same_connection(self):
        self.until_asked_again("both")
        self.lapse()
        events = self.told(4, "connect", "subscribe", "disconnect")
        self.assertEqual(sum(e.type == "spillway.connect" for e in events), 2)
        self.assertEqual(len({e.headers["ce-connection"] for e in events}), 1)

    def test_no_two_sessions_nor_streams_have_one_number(self):
        self.poll("room", "s")
        self.grant(user="ann")
        stream = EventStream(self.gateway.port, "/stream/both?session=s")
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        self.told(1, "subscribe")
        self.poll("both,room", "s")
        self.poll("both", "t")
        members = self.members("both") + self.members("room")
        numbers = {(m["connection"], m["transport"], m.get("user"),
                    m.get("session")) for m in members}
        self.assertEqual(len(numbers), 4, members)
        self.assertEqual(len({n[0] for n in numbers}), 4, members)
        # An end is known by its number.
        self.assertEqual(len({e.headers["ce-connection"]
                              for e in self.told(3, "subscribe")}), 3)

    def test_who_listens_may_send_what_it_was_granted(self):
        self.gateway.close()
        self.more = ('channel "keyed" { bridge-connect = yes  '
                     'send-access = token }\n'
                     f'token-key = "HS256:{tokens.SECRET}"\n')
        self.start(self.more)
        self.grant(user="ann", channels={"subscribe": ["keyed"],
                                         "send": ["keyed"]})
        post = "/stream/keyed?session=s"
        self.assertEqual(self.gateway.request("POST", post, b"1")[0], 401)
        self.poll("keyed", "s")
        self.assertEqual(self.gateway.request("POST", post, b"1")[0], 204)
        self.assertEqual(self.told(1, "message")[0].headers["ce-user"], "ann")
        self.assertEqual(self.gateway.request(
            "POST", "/stream/keyed?session=t", b"1")[0], 401)
        stream = EventStream(self.gateway.port, "/stream/keyed?session=t")
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        self.assertEqual(self.gateway.request(
            "POST", "/stream/keyed?session=t", b"1")[0], 204)
        # The stream itself is let in by the backend, each time.
        self.assertEqual(self.asked(), 2)

    def test_who_is_kicked_is_asked_anew(self):
        self.grant(user="ann")
        wire = self.waiting("both", "s")
        self.poll("both", "t")
        self.assertEqual(
            self.gateway.api("DELETE", "/v1/connections?user=ann"),
            (200, {"count": 2}))
        self.assertEqual(wire.response()[0], 403)
        ends = self.told(2, "disconnect")
        self.assertEqual({json.loads(e.body)["reason"] for e in ends},
                         {"kicked"})
        self.assertEqual(self.members("both"), [])
        asked = self.asked()
        self.says = (403, "text/plain", b"no")
        self.poll("both", "s", status=403)
        self.assertEqual(self.asked(), asked + 1)

    def test_a_poll_of_a_session_can_be_ended_by_its_own_number(self):
        wire = self.waiting("both", "s")
        number, = [c["id"] for c in self.connections()]
        self.assertEqual(
            self.gateway.api("GET", f"/v1/connections/{number}")[0], 200)
        self.assertEqual(
            self.gateway.api("DELETE", f"/v1/connections/{number}")[0], 204)
        self.assertEqual(wire.response()[0], 403)
        # The session is another one's to end.
        self.assertEqual(self.sessions("both"), ["s"])

    def test_one_session_can_be_kicked(self):
        self.grant(user="ann")
        self.poll("both", "s")
        self.poll("both", "t")
        number = next(m["connection"] for m in self.members("both")
                      if m["session"] == "s")
        self.assertEqual(self.gateway.api(
            "DELETE", f"/v1/connections/{number}")[0], 204)
        self.assertEqual(self.sessions("both"), ["t"])
        self.assertEqual(self.gateway.api(
            "DELETE", f"/v1/connections/{number}")[0], 404)


class Limited(Sessions):
    def test_too_many_sessions_are_refused_where_they_matter(self):
        self.gateway.close()
        self.start("max-sessions = 2\nchannels-per-connection = 2\n")
        self.poll("told", "a")
        self.poll("told", "b")
        answer = self.poll("told", "c", status=503)
        self.assertIn("max-sessions", answer["detail"])
        self.poll("told", "a")
        # A stream needs none for itself.
        stream = EventStream(self.gateway.port, "/stream/both?session=d")
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        # Elsewhere they are served, and nobody is there between two polls.
        self.poll("room", "c")
        self.assertEqual(self.members("room"), [])
        self.poll("told-2", "a")
        answer = self.poll("told-3", "a", status=503)
        self.assertIn("channels-per-connection", answer["detail"])
        self.assertEqual(self.sessions("told-3"), [])
        self.gateway.until_metric(3, "limits_reached_total",
                                  '{limit="max-sessions"}')
        self.gateway.until_metric(1, "limits_reached_total",
                                  '{limit="channels-per-connection"}')
        self.lapse()
        self.gateway.until_metric(0, "sessions")
        self.poll("told", "c")


class Sent(Scenario):
    conf = f'token-key = "HS256:{tokens.SECRET}"\nsend = publish\n'

    def test_a_number_is_taken_once_from_each_user(self):
        def send(user):
            status, _, body = self.gateway.request(
                "POST", "/stream/a?session=s&seq=1", b"1",
                dict(tokens.bearer(tokens.token(sub=user, send=["*"]))))
            return status, json.loads(body)["duplicate"]
        self.assertEqual(send("ann"), (201, False))
        self.assertEqual(send("ann"), (200, True))
        # Who knows her session cannot take her numbers, nor she his.
        self.assertEqual(send("bob"), (201, False))
        self.assertEqual(send("bob"), (200, True))


if __name__ == "__main__":
    main()
