import pytest

from workers.outbound.address import AddressRefused, target_of

HOSTS = frozenset({"judge.example.com", "other.example:8443", "*"})


def resolving(*addresses):
    return lambda host, port: list(addresses)


def refused(url, *addresses, hosts=HOSTS, loopback=False):
    with pytest.raises(AddressRefused) as error:
        target_of(url, hosts=hosts, loopback=loopback, resolve=resolving(*addresses))
    return str(error.value)


def test_the_checked_address_is_the_one_to_connect_to():
    target = target_of(
        "https://Judge.Example.com./grade?x=1",
        hosts=HOSTS,
        loopback=False,
        resolve=resolving("93.184.216.34"),
    )
    assert target.url == "https://93.184.216.34:443/grade?x=1"
    assert (target.host, target.host_header) == ("judge.example.com", "judge.example.com")
    other = target_of(
        "https://other.example:8443", hosts=HOSTS, loopback=False, resolve=resolving("2606:4700::1")
    )
    assert (other.url, other.host_header) == ("https://[2606:4700::1]:8443/", "other.example:8443")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "fe80::1%eth0", "fc00::1", "ff02::1", "2002:7f00:1::", "64:ff9b:1::1", "64:ff9b::7f00:1",
        "::7f00:1", "fec0::1", "::ffff:0:7f00:1", "2001:0:5ef5:79fd::80ff:fffe", "240.0.0.1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address):
    assert "not public" in refused("https://judge.example.com/", address)
    assert "not public" in refused("https://judge.example.com/", "93.184.216.34", address)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "[::1]"])
def test_ways_to_write_this_machine_lead_to_no_connection(host):
    with pytest.raises(AddressRefused):
        target_of(f"https://{host}/", hosts=HOSTS, loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://judge.example.com/",
        "ftp://judge.example.com/",
        "https://user@judge.example.com/",
        "https:///path",
        "https://judge.example.com:99999/",
        "https://judge.example.com:8443/",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_is_not_plain_https_to_an_allowed_place_is_refused(url):
    refused(url, "93.184.216.34")


def test_a_host_that_is_not_listed_is_refused():
    assert "does not allow" in refused("https://evil.example/", "93.184.216.34", hosts={"judge.example.com"})


def test_this_machine_where_the_operator_allows_it_and_nothing_else_private():
    target = target_of("http://localhost:9000/x", hosts=(), loopback=True, resolve=resolving("127.0.0.1"))
    assert target.url == "http://127.0.0.1:9000/x"
    refused("http://intranet/", "10.0.0.1", loopback=True)
    refused("http://rebound.example/", "127.0.0.1", "10.0.0.1", loopback=True)


def test_a_name_without_an_address_is_refused():
    assert "no address" in refused("https://judge.example.com/")


def test_http_and_other_ports_only_where_they_are_allowed():
    where = {"hosts": {"*"}, "loopback": False, "resolve": resolving("93.184.216.34")}
    with pytest.raises(AddressRefused, match="not https"):
        target_of("http://judge.example.com/", ports={80}, **where)
    target = target_of("http://judge.example.com/", ports={80}, http=True, **where)
    assert (target.url, target.host_header) == ("http://93.184.216.34:80/", "judge.example.com")
    with pytest.raises(AddressRefused, match="does not allow"):
        target_of("http://judge.example.com:8080/", ports={80}, http=True, **where)
    assert target_of("https://judge.example.com:8443/", ports={8443}, **where).port == 8443


def test_a_literal_ipv6_host_keeps_its_brackets():
    target = target_of("https://[2606:4700::1]/", hosts={"*"}, loopback=False)
    assert target.host_header == "[2606:4700::1]"
