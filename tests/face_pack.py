"""A pack of face models in insightface's layout, made of constants: for tests where insightface is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_face_pack(folder: Path) -> None:
    """A detector that sees one face in the middle of its 64 x 64 pixels, and a linear recogniser."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = [2 * (64 // s) ** 2 for s in (8, 16, 32)]
    values = [np.zeros((n, w), np.float32) for w in (1, 4, 10) for n in shapes]
    cell = 2 * (2 * 4 + 2)
    values[1][cell], values[4][cell] = 0.9, 1.5
    values[7][cell] = np.array([-0.6, -0.5, 0.6, -0.5, 0, 0, -0.5, 0.6, 0.5, 0.6])
    nodes = [
        helper.make_node("Constant", [], [f"o{i}"], value=numpy_helper.from_array(v)) for i, v in enumerate(values)
    ]
    outputs = [helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, v.shape) for i, v in enumerate(values)]
    pixels = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, 64, 64])
    graphs = {"det_10g": helper.make_graph(nodes, "detector", [pixels], outputs)}
    matrix = numpy_helper.from_array(rng.standard_normal((147, 16)).astype(np.float32), "matrix")
    graphs["w600k_r50"] = helper.make_graph(
        [
            helper.make_node("AveragePool", ["input.1"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], ["code"]),
        ],
        "recogniser",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("code", TensorProto.FLOAT, ["n", 16])],
        [matrix],
    )
    folder.mkdir(parents=True)
    for name, graph in graphs.items():
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, str(folder / f"{name}.onnx"))
