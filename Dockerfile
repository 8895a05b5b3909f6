# A container that serves plvm.
#
#   docker build -t plvm .                                                          # for a CPU
#   docker build -t plvm --build-arg TORCH_INDEX=https://pypi.org/simple .          # for CUDA: run it with --gpus all
#   docker run --rm -v plvm:/data plvm keys new home                                # a key; it is shown once
#   docker run -v plvm:/data -p 127.0.0.1:8642:8642 plvm
#
# Concepts and keys are in /data. Any other command goes the same way: docker run --rm -v plvm:/data plvm list
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
# torch first and from its own index, so that nothing else chooses another build of it
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple -c constraints.txt torch \
 && pip install --no-cache-dir -c constraints.txt ".[server,postgres,encrypted]" \
 && rm -rf /build/src

RUN useradd --create-home --uid 1000 plvm && install -d -o plvm -m 700 /data
USER plvm
WORKDIR /home/plvm
ENV PLVM_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8642
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8642/healthz')"]
ENTRYPOINT ["plvm"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8642"]
