"""The published weights of the pretrained networks. No torch is needed here, so that complete stages start quickly."""

from ...utils.releases import Release

MUSICNN = Release(
    name="musicnn",
    title="musicnn's weights",
    version="0.1.0",
    licence="ISC, Jordi Pons",
    files={
        "MTT.index": "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
        "MTT.data": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
        "MSD.index": "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
        "MSD.data": "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
    },
    size=29_292_476,
    wheel="musicnn==0.1.0",
    inside={
        f"{tagger}.{kind}": f"{tagger}_musicnn/.{end}"
        for tagger in ("MTT", "MSD") for kind, end in {"index": "index", "data": "data-00000-of-00001"}.items()
    },
)
VOICE_ENCODER = Release(
    name="voice-encoder",
    title="the voice encoder's weights",
    version="Resemblyzer 0.1.4",
    licence="Apache-2.0, Resemble AI",
    files={"pretrained.pt": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"},
    size=15_747_704,
    wheel="resemblyzer==0.1.4",
)
BASIC_PITCH = Release(
    name="basic-pitch",
    title="Basic Pitch's network",
    version="0.4.0",
    licence="Apache-2.0, Spotify AB",
    files={"nmp.onnx": "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec"},
    size=758_279,
    wheel="basic-pitch==0.4.0",
)
