"""A plain kubeconfig means the same here as to the official client, which would take 23 MiB to read it."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from package.kubeconfigs import CASES, FILES, INLINE, PAIR, SERVER, data, official, ours, write


@pytest.fixture(autouse=True, scope="module")
def no_proxies():
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        yield


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_as_the_official_client_reads_it(tmp_path, case):
    paths = write(tmp_path, *CASES[case])
    assert ours(paths) == official(paths)


words = st.text("abz09-._~+/=", min_size=1, max_size=12)
clusters = st.fixed_dictionaries(
    {"server": st.sampled_from([SERVER, "https://10.0.0.1", "https://[fd00::1]:6443/", "https://a.example/x/"])},
    optional={
        "certificate-authority": st.sampled_from(["ca.crt", "./ca.crt", "../files/ca.crt"]),
        "certificate-authority-data": words.map(data),
        "insecure-skip-tls-verify": st.booleans(),
        "tls-server-name": st.sampled_from(["a.example", "127.0.0.1"]),
        "proxy-url": st.sampled_from(["http://proxy:1", "https://me:pass%20word@proxy", "proxy:3128"]),
        "extensions": st.just([{"name": "minikube.sigs.k8s.io", "extension": {"version": "v1"}}]),
    },
)
users = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"token": words}, optional={"tokenFile": st.just("token"), **{key: st.just(PAIR[key]) for key in PAIR}}
    ),
    st.fixed_dictionaries({"tokenFile": st.just("token")}, optional={"as": words, "password": words}),
    st.fixed_dictionaries({"username": words, "password": st.text(max_size=8).filter(str.isascii)}),
    st.fixed_dictionaries({"client-certificate": st.just("me.crt")}, optional={"client-key": st.just("me.key")}),
    st.just(PAIR | INLINE),
)
names = st.sampled_from(["a", "b", "c d", "arn:aws:eks:x:1:cluster/e"])


@st.composite
def files(draw):
    """Kubeconfigs that go together, by the name of the context that is used: entries of one name may be in several."""
    known = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    whole = [("contexts", name, "context", {"cluster": name, "user": name, "namespace": name[0]}) for name in known]
    whole += [("clusters", name, "cluster", draw(clusters)) for name in known]
    whole += [("users", name, "user", draw(users)) for name in known]
    whole += draw(st.lists(st.sampled_from(whole), max_size=2))
    parts = [{"apiVersion": "v1", "kind": "Config"} for _ in range(draw(st.integers(1, 3)))]
    for kind, name, one, fields in whole:
        entries = draw(st.sampled_from(parts)).setdefault(kind, [])
        if all(entry["name"] != name for entry in entries):
            entries.append({"name": name, one: fields})
    return draw(st.sampled_from(known)), parts


@given(files(), st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_merged_ones_are_read_as_the_official_client_reads_them(given, as_yaml):
    import yaml

    context, parts = given
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "files"
        folder.mkdir()
        for name, content in FILES.items():
            (folder / name).write_text(content)
        for number, part in enumerate(parts):
            (folder / str(number)).write_text(yaml.safe_dump(part) if as_yaml else json.dumps(part))
        paths = os.pathsep.join([str(folder / "absent"), *(str(folder / str(number)) for number in range(len(parts)))])
        assert ours(paths, context) == official(paths, context)
