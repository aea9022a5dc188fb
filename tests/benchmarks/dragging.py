"""A comparison of twelve optimizers, and scripts that move a slider of it in the page."""

from optviz.optimizers import CATALOGUE

TWELVE = [e.name for e in CATALOGUE if e.learning_rate and not e.needs][:12]
_SLIDER = 'const slider = document.querySelectorAll(".ov-card")[6].querySelector("input[type=range]");'
_PUSH = """const push = (share) => {
  slider.value = +slider.min + share * (slider.max - slider.min);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
};"""


def comparison(rate=0.01, num_steps=1000):
    """Settings: twelve optimizers on Rosenbrock's valley, of which the seventh has another rate."""
    chosen = [{"name": name, "hyperparameters": {"learning_rate": 0.01}} for name in TWELVE]
    chosen[6]["hyperparameters"]["learning_rate"] = rate
    return {"surface": "rosenbrock", "num_steps": num_steps, "optimizers": chosen}


def single_moves(moves):
    """A script: the slider is moved so often, each time once the paths are painted; the details of "painted"."""
    return f"""(async () => {{
      {_SLIDER} {_PUSH}
      const [details, once] = [[], {{ capture: true, once: true }}];
      for (let i = 0; i < {moves}; i++) {{
        const shown = new Promise((done) => document.addEventListener("painted", done, once));
        const moved = performance.now();
        push(0.4 + 0.2 * i / {moves});
        details.push({{ moved, ...(await shown).detail }});
        await new Promise((done) => setTimeout(done, 30));
      }}
      return details;
    }})()"""


def steady_drag(seconds):
    """A script: the slider moves at every frame, as under a hand; how many pictures of new paths a second."""
    return f"""(async () => {{
      {_SLIDER} {_PUSH}
      let count = 0;
      const counted = () => count++;
      document.addEventListener("painted", counted, true);
      const begin = performance.now();
      const now = () => (performance.now() - begin) / 1000;
      while (now() < {seconds}) {{
        push(0.3 + 0.4 * now() / {seconds});
        await new Promise(requestAnimationFrame);
      }}
      document.removeEventListener("painted", counted, true);
      return count / now();
    }})()"""
