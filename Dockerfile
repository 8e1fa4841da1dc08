# docker build -t rt_tf .
# docker run -v "$PWD/runs:/runs" rt_tf                   the digits example, results in ./runs
# docker run -v "$PWD/runs:/runs" -v "$PWD/data:/data" rt_tf --flagfile=configs/mnist/ibp.cfg \
#     --model_dir=/runs/mnist --download
# docker stop -t 60 <container>          ends after the step it is at; the same command goes on
FROM python:3.11-slim

WORKDIR /app
# The dependencies first: this layer stays while only the code changes.
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY rt_tf/__init__.py rt_tf/
RUN pip install --no-cache-dir '.[vnn]'
COPY rt_tf rt_tf
COPY pipelines pipelines
COPY configs configs
RUN pip install --no-cache-dir --no-deps --editable .

RUN useradd --create-home --uid 1000 trainer \
    && mkdir /runs /data \
    && chown trainer:trainer /runs /data
USER trainer
ENV TFDS_DATA_DIR=/data TF_CPP_MIN_LOG_LEVEL=2 MPLBACKEND=Agg PYTHONUNBUFFERED=1
VOLUME ["/runs", "/data"]
STOPSIGNAL SIGTERM

ENTRYPOINT ["python", "-m", "pipelines.train"]
CMD ["--flagfile=configs/digits/ibp.cfg", "--model_dir=/runs/digits-ibp"]
