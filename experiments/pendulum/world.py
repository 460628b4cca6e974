"""Gymnasium's Pendulum-v1, many at a time, and the reference agent whose mixed data all learners get.

The agent is a known good controller: it pumps energy until the pendulum can reach the top and holds it there by state
feedback (near -150 on the mean, what good learners reach). Its data is a mixture, an episode each in turn:
    good     the controller, with noise of deviation 0.3 on the torque
    medium   half of its torque, with noise of deviation 1
    poor     no controller: a torque drawn evenly from the whole range, held for 4 steps
"""
import gymnasium
import numpy as np

STEPS = 200  # an episode is cut there: Pendulum never truly ends
TORQUE = 2.0


class Pendulums:
    """As many environments as seeds, stepped together; each is Gymnasium's own."""

    def __init__(self, seeds):
        self.all = [gymnasium.make("Pendulum-v1") for _ in seeds]
        self.states = np.array([one.reset(seed=int(seed))[0] for one, seed in zip(self.all, seeds)], dtype=np.float32)

    def step(self, torques):
        results = [one.step(np.asarray(torque, dtype=np.float32)) for one, torque in zip(self.all, torques)]
        self.states = np.array([state for state, *_ in results], dtype=np.float32)
        return np.array([reward for _, reward, *_ in results])


def control(states):
    """(N,3) cos, sin, angular speed -> torque (N,1); the angle is 0 at the top."""
    cosine, sine, speed = states.T
    angle = np.arctan2(sine, cosine)
    missing = 5 - (speed**2 / 6 + 5 * cosine)  # energy below that of standing at the top
    pump = np.where(np.abs(speed) > 1e-3, np.sign(speed), 1) * 2 * missing
    hold = -(9 * angle + 2.5 * speed)
    return np.clip(np.where((np.abs(angle) < 0.5) & (np.abs(speed) < 3), hold, pump), -TORQUE, TORQUE)[:, None]


def returns(act, seeds):
    """Undiscounted return of each start; act: states (N,3) -> torques (N,1)."""
    world, total = Pendulums(seeds), np.zeros(len(seeds))
    for _ in range(STEPS):
        total += world.step(np.clip(act(world.states), -TORQUE, TORQUE))
    return total


def random_agent(seed):
    rng = np.random.default_rng(seed)
    return lambda states: rng.uniform(-TORQUE, TORQUE, (len(states), 1))


def logged(episodes, seed):
    """Arrays as d3rlpy has them, of so many episodes of the mixture."""
    rng = np.random.default_rng(seed)
    world = Pendulums(rng.integers(1 << 31, size=episodes))
    kinds = np.arange(episodes)[:, None] % 3
    states, actions, rewards, held = [], [], [], None
    for step in range(STEPS):
        if step % 4 == 0:
            held = rng.uniform(-TORQUE, TORQUE, (episodes, 1))
        known, noise = control(world.states), rng.standard_normal((episodes, 1))
        torque = np.choose(kinds, [known + 0.3 * noise, 0.5 * known + noise, held]).clip(-TORQUE, TORQUE)
        torque = torque.astype(np.float32)
        states.append(world.states)
        actions.append(torque)
        rewards.append(world.step(torque))
    rows = episodes * STEPS
    timeouts = np.zeros((episodes, STEPS))
    timeouts[:, -1] = 1
    return {"observations": np.stack(states, 1).reshape(rows, 3), "actions": np.stack(actions, 1).reshape(rows, 1),
            "rewards": np.stack(rewards, 1).reshape(rows), "terminals": np.zeros(rows), "timeouts": timeouts.reshape(rows)}
