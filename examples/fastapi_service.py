"""A web service that says of each answer whether it is certified, and how far.

    pip install fastapi uvicorn
    EXPORT=runs/digits/ibp/export uvicorn --factory fastapi_service:service --app-dir=examples

POST /certify takes {"image": nested lists of numbers, as the network reads it, "epsilon": 0.05} and
answers {"label", "certified": within epsilon, "radius": the largest up to epsilon that is
certified}. This file imports nothing of this library.
"""

import contextlib
import os
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field


class Question(BaseModel):
    """An image, [...] as nested lists, and a radius in its units."""

    image: list[Any]
    epsilon: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def service(export: str | None = None) -> FastAPI:
    """The service of an exported network; the variable EXPORT names it where nothing is given."""
    served = tf.saved_model.load(export or os.environ.get("EXPORT", "runs/digits/ibp/export"))
    image = served.signatures["serve"].structured_input_signature[1]["image"]
    app, shape = FastAPI(title="Certified answers"), tuple(image.shape[1:])

    @app.exception_handler(RequestValidationError)
    def refused(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, status_code=422)

    @app.post("/certify")
    def certify(question: Question) -> dict[str, int | bool | float]:
        inputs = tf.constant(pixels(question.image, shape)), tf.constant([question.epsilon])
        answer, radius = served.certify(*inputs), served.radius(*inputs)["radius"]
        if not answer["in_domain"][0]:
            raise HTTPException(422, "image: expected values in the range that the network reads")
        label, certified = int(answer["label"][0]), bool(answer["certified"][0])
        return {"label": label, "certified": certified, "radius": float(radius[0])}

    return app


def pixels(image: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """The image as a batch of one, [1, ...]; a 422 for anything but numbers of that shape."""
    with contextlib.suppress(TypeError, ValueError):
        if (values := np.asarray(image, np.float32)).shape == shape:
            return values[np.newaxis]
    raise HTTPException(422, f"image: expected numbers of the shape {list(shape)}")
