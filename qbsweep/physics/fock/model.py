"""What a Lindblad point is made of: a network, its truncation, its bath and its frame, checked.

The master equation (2), (15), (16) of one point, with jumps L and a squeezed thermal bath::

    drho/dt = -i [H, rho] + sum_L { (P + 1) D[L] + P D[L^dag] - Q L'[L] - conj(Q) L'[L^dag] } rho
    D[o] rho  = o rho o^dag - {o^dag o, rho} / 2,      L'[o] rho = o rho o - {o o, rho} / 2
    P = n_th cosh 2r + sinh^2 r,                       Q = (2 n_th + 1) sinh r cosh r e^{-i theta_r}

Operators are cut to d_m levels per mode *before* they are multiplied, as QuTiP does it, so both
engines truncate alike. A truncated ladder operator still makes a GKSL equation: at any d the
evolution is completely positive, trace preserving and a contraction in the trace norm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.levels import QUBIT, ROLES
from qbsweep.physics.gaussian import bath_anomaly, bath_occupation
from qbsweep.physics.matrices import drift_matrix, require_stable
from qbsweep.physics.network import Network, phase_factor
from qbsweep.physics.protocol import OF_OSCILLATORS, QUBITS_BEGIN, Initial, ModeState, Protocol
from qbsweep.text import choices, unknown

FRAMES = ("lab", "displaced")
Levels = int | Sequence[int] | Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Storage:
    """How the density matrix is held where that does not follow from a model alone: by all stages of a protocol alike.

    Attributes
    ----------
    phases : tuple of float
        Gauge of every mode, see `terms.Generator`.
    real : bool
        Whether every stage, and what they begin with, is real in this gauge.
    blocks : bool
        Whether there are coherences between total photon numbers at no time.
    """

    phases: tuple[float, ...]
    real: bool
    blocks: bool


@dataclass(frozen=True, slots=True)
class FockModel:
    """One point's master equation in a truncated Fock space; built and checked by `fock_model`.

    Attributes
    ----------
    network : Network
    levels : tuple of int
        Fock levels d_m of every mode.
    qubits : tuple of bool
        Modes whose two levels are all there are, and not a truncation.
    epsilon : float
        Drive of the charger, in units of omega; in the displaced frame it only moves alpha(t).
    occupation, anomaly : float, complex
        P and Q of the bath.
    kerr : tuple of float
        K_m of ``K_m/2 c_m^dag c_m^dag c_m c_m``, in units of omega.
    frame : {'lab', 'displaced'}
    protocol : Protocol or None
        What changes in time and what it starts from; None if it starts from vacuum and nothing changes. Its initial
        state is never 'thermal', but given mode by mode.
    storage : Storage or None
        Of a stage of a protocol.
    """

    network: Network
    levels: tuple[int, ...]
    qubits: tuple[bool, ...]
    epsilon: float
    occupation: float
    anomaly: complex
    kerr: tuple[float, ...]
    frame: str
    protocol: Protocol | None = None
    storage: Storage | None = None

    @property
    def dimension(self) -> int:
        """Dimension of the truncated Hilbert space, the product of the levels."""
        return math.prod(self.levels)

    @property
    def drive(self) -> float:
        """The drive that the density matrix feels: none in the displaced frame."""
        return self.epsilon if self.frame == "lab" else 0.0

    @property
    def gaussian(self) -> bool:
        """Whether the untruncated network is Gaussian, so that its exact moments are known."""
        return not (any(self.kerr) or any(self.qubits))

    @property
    def conserves_number(self) -> bool:
        """Whether rho stays block-diagonal in the total photon number: no drive, no squeezing."""
        if self.storage is not None:
            return self.storage.blocks
        return self.drive == 0 and self.anomaly == 0

    def with_levels(self, levels: tuple[int, ...]) -> "FockModel":
        """Return the same point with other Fock levels."""
        return replace(self, levels=levels)


def mode_levels(network: Network, levels: Levels) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the Fock levels of every mode, and which modes are qubits.

    Parameters
    ----------
    network : Network
    levels : int, sequence of int or mapping
        One number truncates every oscillator there. A sequence (one per mode) or a mapping with the
        keys 'charger' and 'battery' sets them apart, and a 2 in it makes a qubit of the mode.
    """
    if isinstance(levels, Mapping):
        for role in levels:
            if role not in ROLES:
                raise QbsweepError(unknown("role in `fock_levels`", role, ROLES))
        for role in ROLES:
            if role not in levels:
                raise QbsweepError(f"`fock_levels` must name the levels of the {role} too, but does not")
        values = (levels["charger"],) + (levels["battery"],) * network.n_batteries
        uniform = False
    elif isinstance(levels, (int, np.integer)):
        values = (int(levels),) * network.n_modes
        uniform = True
    else:
        # Anything else that is no sequence (2.5, say) is one number for every mode, and refused below.
        values = tuple(levels) if isinstance(levels, Sequence) else (levels,) * network.n_modes
        uniform = False
        if len(values) != network.n_modes:
            raise QbsweepError(
                f"`fock_levels` must be one number or one per mode ({network.n_modes}), but has {len(values)}"
            )
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise QbsweepError(f"`fock_levels` must be a whole number, but is {value!r}")
        if value < 2:
            raise QbsweepError(f"`fock_levels` must be at least 2, but is {value}")
    return tuple(int(value) for value in values), tuple(not uniform and value == QUBIT for value in values)


def _finite(name: str, value: float, least: float | None = None) -> float:
    if not math.isfinite(value) or (least is not None and value < least):
        bound = "" if least is None else f" and at least {least:g}"
        raise QbsweepError(f"`{name}` must be finite{bound}, but is {value}")
    return float(value)


def fock_model(
    network: Network,
    levels: Levels,
    *,
    epsilon: float,
    n_th: float = 0.0,
    r: float = 0.0,
    theta_r: float = 0.0,
    kerr: float | Sequence[float] = 0.0,
    frame: str = "lab",
    protocol: Protocol | None = None,
) -> FockModel:
    """Check the parameters of one point and return its model.

    Parameters
    ----------
    network : Network
    levels : int, sequence of int or mapping
        See `mode_levels`.
    epsilon : float
        Drive of the charger, in units of omega.
    n_th, r, theta_r : float
        Thermal photon number, squeezing and squeezing angle of the bath of every jump.
    kerr : float or sequence of float
        K of every battery, or of every mode, in units of omega.
    frame : {'lab', 'displaced'}
        'displaced' follows c -> c + alpha(t), which removes the drive from a linear network.
    protocol : Protocol, optional
        The drive then is `epsilon` times its levels.

    Raises
    ------
    QbsweepError
        If a parameter is out of range, the displaced frame is asked of a network with Kerr terms
        or qubits (there the displacement leaves new terms behind, or has no meaning), or a qubit is to start displaced
        or squeezed.
    """
    if frame not in FRAMES:
        raise QbsweepError(f"`frame` must be {choices(FRAMES)}, but is '{frame}'")
    per_mode, qubits = mode_levels(network, levels)
    if isinstance(kerr, (int, float, np.number)):
        nonlinear = (0.0,) + (_finite("kerr", float(kerr)),) * network.n_batteries
    else:
        nonlinear = tuple(_finite("kerr", value) for value in kerr)
        if len(nonlinear) != network.n_modes:
            raise QbsweepError(
                f"`kerr` must be one number or one per mode ({network.n_modes}), but has {len(nonlinear)}"
            )
    if frame == "displaced" and any(nonlinear):
        raise QbsweepError("`frame: displaced` removes the drive of linear networks only, but `kerr` is not 0")
    if frame == "displaced" and any(qubits):
        raise QbsweepError(f"`frame: displaced` needs oscillators, but mode {qubits.index(True)} is a qubit")
    n_th, r = _finite("n_th", n_th, 0.0), _finite("r", r)
    anomaly = complex(bath_anomaly(np.asarray(n_th), np.asarray(r)))
    return FockModel(
        network=network,
        levels=per_mode,
        qubits=qubits,
        epsilon=_finite("epsilon", epsilon),
        occupation=float(bath_occupation(np.asarray(n_th), np.asarray(r))),
        anomaly=anomaly * phase_factor(-_finite("theta_r", theta_r)),
        kerr=nonlinear,
        frame=frame,
        protocol=_checked(protocol, n_th, qubits),
    )


def _checked(protocol: Protocol | None, n_th: float, qubits: tuple[bool, ...]) -> Protocol | None:
    """Return a protocol whose initial state needs no bath to be understood; None if it changes nothing."""
    if protocol is None or protocol.is_plain:
        return None
    begin = 0.0
    for number, segment in enumerate(protocol.segments, start=1):
        if segment.until < begin:
            raise QbsweepError(
                f"segment {number} of `protocol` must end after it begins, at {begin:.6g}/omega, "
                f"but ends at {segment.until:.6g}/omega"
            )
        begin = segment.until
    if protocol.initial.kind == "thermal":
        return replace(protocol, initial=Initial("modes", (ModeState(occupation=n_th),) * len(qubits)))
    if protocol.initial.kind == "modes":
        if len(protocol.initial.modes) != len(qubits):
            raise QbsweepError(
                f"`initial` must have one state per mode ({len(qubits)}), but has {len(protocol.initial.modes)}"
            )
        for mode, (state, qubit) in enumerate(zip(protocol.initial.modes, qubits, strict=True)):
            if qubit and any(getattr(state, key) for key in OF_OSCILLATORS):
                raise QbsweepError(
                    f"`initial` displaces or squeezes mode {mode}, but {QUBITS_BEGIN}; "
                    "give the mode more than 2 `fock_levels`"
                )
    return protocol


def require_relaxing(model: FockModel) -> None:
    """Refuse a network whose amplitudes do not decay: it has no unique steady state."""
    require_stable(drift_matrix(model.network))
