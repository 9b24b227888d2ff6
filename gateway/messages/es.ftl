language-name = Español
language-label = Idioma
page-name = Restablecer la contraseña
error-prefix = Error
error-summary = Hay un problema
continue = Continuar
try-again = Intentarlo de nuevo
start-again = Empezar de nuevo
log-in = Iniciar sesión
help = Obtener ayuda
privacy = Privacidad
reference = Si pide ayuda, indique esto: { $id }

start-title = Restablezca su contraseña
start-lead = Escriba su usuario. Si los datos son correctos, recibirá un código por correo electrónico.
login-label = Usuario o correo electrónico
login-empty = Escriba su usuario
login-malformed = Revise su usuario: contiene un carácter que ningún usuario tiene, o es demasiado largo

question-title = Su pregunta secreta
question-lead = Eligió esta pregunta cuando abrió su cuenta.
answer-label = Su respuesta
answer-empty = Escriba su respuesta
answer-wrong = Esta respuesta no es correcta. Inténtelo de nuevo
answer-needed = Para recibir un código nuevo, conteste de nuevo a su pregunta.
answer-too-long = Esta respuesta es demasiado larga

code-title = Revise su correo electrónico
code-lead = Si los datos son correctos, hay un código en camino al correo electrónico de su cuenta.
code-new = Se ha pedido un código nuevo. Use el más reciente que reciba.
code-label = Código del correo electrónico
code-hint =
    { $digits ->
        [one] { $digits } cifra. Puede pegarlo.
       *[other] { $digits } cifras. Puede pegarlo.
    }
code-malformed =
    { $digits ->
        [one] Escriba la cifra del código
       *[other] Escriba las { $digits } cifras del código
    }
code-wrong = Este código no es correcto o es demasiado antiguo. Revíselo o pida uno nuevo
time-limit =
    { $minutes ->
        [one] Esta página es válida durante { $minutes } minuto.
       *[other] Esta página es válida durante { $minutes } minutos.
    }
time-short = Quedan menos de dos minutos. Elija «{ more-time }» si necesita más.
more-time = Necesito más tiempo
time-given = Tiene de nuevo todo el tiempo.
time-not-given = No puede tener más tiempo.
no-mail = ¿No llega el correo?
no-mail-wait = Puede tardar unos minutos. Mire también en la carpeta de correo no deseado. Enviamos solo unos pocos códigos por hora.
no-mail-login = Escribió «{ $login }». Si no es su usuario, empiece de nuevo.
send-again = Enviar un código nuevo

password-title = Elija una contraseña nueva
password-advice = Unas palabras sin relación entre sí son fáciles de recordar y difíciles de adivinar. No aceptamos una contraseña que usa mucha gente, ni una que sea poco más que su usuario o nuestro nombre.
password-hint =
    { $characters ->
        [one] { $characters } carácter o más.
       *[other] { $characters } caracteres o más.
    }
password-label = Contraseña nueva
password-again = La contraseña nueva otra vez
password-show = Mostrar la contraseña
password-enough = Longitud suficiente
password-set = Guardar la contraseña
password-empty = Escriba una contraseña nueva
password-too-short =
    { $characters ->
        [one] Elija una contraseña de { $characters } carácter o más
       *[other] Elija una contraseña de { $characters } caracteres o más
    }
password-too-long =
    { $characters ->
        [one] Elija una contraseña de { $characters } carácter como máximo
       *[other] Elija una contraseña de { $characters } caracteres como máximo
    }
password-easy = Esta contraseña es de las primeras que alguien probaría. Elija unas palabras sin relación entre sí
password-named = Esta contraseña es poco más que su usuario o nuestro nombre. Elija unas palabras sin relación entre sí
passwords-differ = Las dos contraseñas no son iguales
password-refused = La contraseña no fue aceptada:
password-not-accepted = La contraseña no fue aceptada. Elija otra

done-title = Su contraseña está guardada
done-lead = Ya puede iniciar sesión con ella.

wait-minutes =
    { $minutes ->
        [one] Inténtelo de nuevo dentro de { $minutes } minuto.
       *[other] Inténtelo de nuevo dentro de { $minutes } minutos.
    }
limits-title = Demasiados intentos
limits-lead = Para proteger las cuentas, aceptamos un número limitado cada cierto tiempo.
later-title = Ahora no es posible restablecer la contraseña
later-lead = No es culpa suya, y no se ha cambiado nada.
codes-title = Ahora no se aceptan códigos
codes-lead = Su código no se ha probado y sigue siendo válido.
ended-title = Este proceso ha terminado
ended-lead = Estuvo abierto demasiado tiempo o terminó en otra ventana. Si ya guardó una contraseña nueva, inicie sesión con ella.
unknown-title = No sabemos si ha funcionado
unknown-mail = Puede haber un código en camino. Espere unos minutos y mire su correo antes de empezar de nuevo.
enter-code = Escribir el código
unknown-password = Intente iniciar sesión con la contraseña nueva. Si no funciona, empiece de nuevo.
cookies-title = Su navegador no guarda cookies de esta página
cookies-lead = Permítalas para esta página y empiece de nuevo. Separan su proceso de otros y desaparecen al cabo de un día como máximo.
other-site-title = Este formulario procede de otra página
other-site-lead = Para proteger las cuentas, solo aceptamos formularios de nuestra propia página. Empiece de nuevo aquí.
other-window-title = Ha iniciado otro proceso después
other-window-lead = Siga en la ventana más reciente o empiece de nuevo.
not-found-title = Esta página no existe
not-found-lead = Revise la dirección o empiece de nuevo.
too-long-title = Lo que escribió es demasiado largo
too-long-lead = Revíselo y empiece de nuevo.
broken-title = Algo ha fallado aquí
broken-lead = No es culpa suya. Empiece de nuevo.
