"""The same learners of d3rlpy, on the same arrays: states standardised and rewards over their standard deviation, as
ours do by themselves, the same widths, batch, discount and steps, and for the rest d3rlpy's defaults; but BCQ has 10
candidates, as its authors' and ours for the target, where d3rlpy takes 100 for a step five times as long."""
import logging
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
import d3rlpy  # noqa: E402
import structlog  # noqa: E402

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
CONFIGS = {"ddpg": d3rlpy.algos.DDPGConfig, "td3bc": d3rlpy.algos.TD3PlusBCConfig, "cql_sac": d3rlpy.algos.CQLConfig,
           "iql": d3rlpy.algos.IQLConfig, "batchrl": d3rlpy.algos.BCQConfig}


def config(arrays, algorithm, budget):
    encoder = d3rlpy.models.VectorEncoderFactory([budget.hidden, budget.hidden])
    names = ["actor_encoder_factory", "critic_encoder_factory"]
    own = {"n_action_samples": 10} if algorithm == "batchrl" else {}
    names += {"iql": ["value_encoder_factory"], "batchrl": ["imitator_encoder_factory"]}.get(algorithm, [])
    return CONFIGS[algorithm](
        batch_size=budget.batch, gamma=budget.gamma,
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(),
        action_scaler=d3rlpy.preprocessing.MinMaxActionScaler(minimum=np.array([-2.0]), maximum=np.array([2.0])),
        reward_scaler=d3rlpy.preprocessing.MultiplyRewardScaler(1 / float(arrays["rewards"].std())),
        **{name: encoder for name in names}, **own)


def train(arrays, algorithm, seed, budget):
    """(act, seconds of training)."""
    d3rlpy.seed(seed)
    data = d3rlpy.dataset.MDPDataset(
        arrays["observations"].astype(np.float32), arrays["actions"].astype(np.float32), arrays["rewards"].astype(np.float32),
        arrays["terminals"].astype(np.float32), arrays["timeouts"].astype(np.float32))
    learner = config(arrays, algorithm, budget).create(device=False)
    started = time.perf_counter()
    learner.fit(data, n_steps=budget.steps, n_steps_per_epoch=budget.steps, show_progress=False,
                logger_adapter=d3rlpy.logging.NoopAdapterFactory(), save_interval=10**9)
    return learner.predict, time.perf_counter() - started
